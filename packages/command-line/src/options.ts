// A table states each option of a command once: description, range and default. Flags are read, configuration files are
// checked, values are resolved and the help is written from the same table.
import { printable, quoted } from '@tb/io';
import { closest, distance } from 'fastest-levenshtein';

/** A mistake in what the user asked for. It is printed as one sentence, without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** How one option is described, read and checked. */
export type Option<Value> = {
  /** Text of the help, without a full stop. */
  description: string;
  /** Name of the value in the help; absent for a switch. */
  placeholder?: string;
  /** Heading of the help under which the option is listed. */
  group?: string;
  /** Value that the option has where nothing sets it. */
  default?: Value;
  /** For the help, where the default depends on other things than the table. */
  defaultText?: string;
  /** Reads the text of a flag. The result may still be wrong: `problem` checks it. */
  parse(text: string): Value;
  /** What is wrong with a value that was read from a flag or a file; undefined if nothing is. */
  problem(value: unknown): string | undefined;
};

export type DefaultedOption<Value> = Option<Value> & { default: Value };

/** The options of a command, by their names in camel case. */
export type Options = Record<string, Option<unknown>>;

type ValueOf<Entry> = Entry extends Option<infer Value> ? Value : never;
type Defaulted<Table> = { [Name in keyof Table]: Table[Name] extends { default: unknown } ? Name : never }[keyof Table];

/** What one source of values sets: flags, a configuration file, a preset. */
export type Overrides<Table extends Options> = { [Name in keyof Table]?: ValueOf<Table[Name]> };

/** All values of a table; those with a default are always there. */
export type Values<Table extends Options> = Overrides<Table> & {
  [Name in Defaulted<Table>]: ValueOf<Table[Name]>;
};

type Settings<Value> = { default?: Value; defaultText?: string };
type Made<Value, Given> = Given extends { default: Value } ? DefaultedOption<Value> : Option<Value>;
type Range = { min?: number; max?: number };

/** A text that is not empty. */
export function text<const Given extends Settings<string> & { placeholder?: string }>(
  description: string,
  settings: Given | string = {} as Given,
): Made<string, Given> {
  const { placeholder = 'text', ...rest } = typeof settings === 'string' ? { placeholder: settings } : settings;
  return {
    description,
    placeholder,
    ...rest,
    parse: (value: string) => value,
    problem: (value: unknown) =>
      typeof value === 'string' && value !== '' ? undefined : 'must be a text that is not empty',
  } as Made<string, Given>;
}

export function number<const Given extends Settings<number> & Range>(
  description: string,
  settings: Given = {} as Given,
): Made<number, Given> {
  return numeric('number', Number.isFinite, description, settings);
}

/** A whole number, at least 0 unless `min` is another. */
export function integer<const Given extends Settings<number> & Range>(
  description: string,
  settings: Given = {} as Given,
): Made<number, Given> {
  return numeric('integer', Number.isSafeInteger, description, { min: 0, ...settings });
}

function numeric<Given>(
  kind: 'number' | 'integer',
  isOfKind: (value: unknown) => boolean,
  description: string,
  { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, ...settings }: Settings<number> & Range,
): Made<number, Given> {
  return {
    description: description + rangeOfHelp(min, max),
    placeholder: kind,
    ...settings,
    parse: (value: string) => (value.trim() === '' ? Number.NaN : Number(value)),
    problem: (value: unknown) =>
      isOfKind(value) && (value as number) >= min && (value as number) <= max
        ? undefined
        : `must be ${kind === 'integer' ? 'an integer' : 'a number'}${rangeOfMessage(min, max)}`,
  } as Made<number, Given>;
}

function rangeOfMessage(min: number, max: number): string {
  if (Number.isFinite(min) && Number.isFinite(max)) return ` from ${min} to ${max}`;
  if (Number.isFinite(min)) return ` of at least ${min}`;
  return Number.isFinite(max) ? ` of at most ${max}` : '';
}

function rangeOfHelp(min: number, max: number): string {
  if (Number.isFinite(min) && Number.isFinite(max)) return ` [${min} to ${max}]`;
  if (Number.isFinite(min)) return min === 0 ? '' : ` [${min} or more]`; // that nothing is negative goes without saying
  return Number.isFinite(max) ? ` [${max} or less]` : '';
}

/** A positive number, or a word that stands for a measurement. */
export function positiveOr<const Word extends string>(word: Word, description: string): Option<number | Word> {
  return {
    description,
    placeholder: `number|${word}`,
    parse: (value: string) => (value === word ? word : value.trim() === '' ? Number.NaN : Number(value)),
    problem: (value: unknown) =>
      value === word || (Number.isFinite(value) && (value as number) > 0)
        ? undefined
        : `must be a positive number or ${word}`,
  };
}

/** A switch: `--flip` turns it on, `--no-flip` off. */
export function toggle<const Given extends Settings<boolean>>(
  description: string,
  settings: Given = {} as Given,
): Made<boolean, Given> {
  return {
    description,
    ...settings,
    parse: (value: string) => value === 'true',
    problem: (value: unknown) => (typeof value === 'boolean' ? undefined : 'must be true or false'),
  } as Made<boolean, Given>;
}

/** One of some names. */
export function choice<const Name extends string, const Given extends Settings<NoInfer<Name>>>(
  description: string,
  names: readonly Name[],
  settings: Given = {} as Given,
): Made<Name, Given> {
  return {
    description: `${description}: ${names.join(', ')}`,
    placeholder: 'name',
    ...settings,
    parse: (value: string) => value as Name,
    problem: (value: unknown) => (names.includes(value as Name) ? undefined : `must be one of ${names.join(', ')}`),
  } as Made<Name, Given>;
}

/** Texts with commas between them. */
export function list<const Given extends Settings<readonly string[]> & { placeholder?: string }>(
  description: string,
  settings: Given | string = {} as Given,
): Made<readonly string[], Given> {
  const { placeholder = 'a,b,…', ...rest } = typeof settings === 'string' ? { placeholder: settings } : settings;
  return {
    description,
    placeholder,
    ...rest,
    parse: (value: string) => value.split(',').map((entry) => entry.trim()),
    problem: (value: unknown) =>
      Array.isArray(value) && value.length > 0 && value.every((entry) => typeof entry === 'string' && entry !== '')
        ? undefined
        : 'must be texts with commas between them',
  } as Made<readonly string[], Given>;
}

/** Numbers with commas between them. */
export function numbers<const Given extends Settings<readonly number[]> & Range & { whole?: boolean }>(
  description: string,
  settings: Given = {} as Given,
): Made<readonly number[], Given> {
  const { default: ownDefault, defaultText, whole, ...range } = settings;
  const one = (whole ? integer : number)(description, range);
  return {
    description: one.description,
    placeholder: 'a,b,…',
    ...(ownDefault && { default: ownDefault }),
    defaultText,
    parse: (value: string) => value.split(',').map(one.parse),
    problem: (value: unknown) => {
      if (!Array.isArray(value) || value.length === 0) return 'must be numbers with commas between them';
      const problem = value.map(one.problem).find((entry) => entry !== undefined);
      return problem && `each ${problem}`;
    },
  } as Made<readonly number[], Given>;
}

/** The options of a table under a separate heading in the help. */
export function grouped<Table extends Options>(group: string, table: Table): Table {
  return Object.fromEntries(Object.entries(table).map(([name, option]) => [name, { ...option, group }])) as Table;
}

type Redefaulted<Table extends Options, Defaults> = {
  [Name in keyof Table]: Name extends keyof Defaults ? DefaultedOption<ValueOf<Table[Name]>> : Table[Name];
};

/** A table that several commands share, with other defaults. */
export function changeDefaults<Table extends Options, const Defaults extends Overrides<Table>>(
  table: Table,
  defaults: Defaults,
): Redefaulted<Table, Defaults> {
  const changed = Object.entries(table).map(([name, option]) => [
    name,
    Object.hasOwn(defaults, name) ? { ...option, default: defaults[name] } : option,
  ]);
  return Object.fromEntries(changed);
}

/** An object without some of its entries. */
export function omit<Entries extends object, const Name extends keyof Entries>(
  entries: Entries,
  ...names: readonly Name[]
): Omit<Entries, Name> {
  const kept = Object.entries(entries).filter(([name]) => !(names as readonly PropertyKey[]).includes(name));
  return Object.fromEntries(kept) as Omit<Entries, Name>;
}

/** The sources in one, the later ones over the earlier ones. An undefined value overrides nothing. */
export function merge<Source extends object>(...sources: readonly Source[]): Source {
  const set = sources.flatMap((source) => Object.entries(source).filter(([, value]) => value !== undefined));
  return Object.fromEntries(set) as Source;
}

/** What the table itself sets. */
export function defaultsOf<Table extends Options>(table: Table): Pick<Values<Table>, Defaulted<Table>> {
  const entries = Object.entries(table).map(([name, option]) => [name, option.default]);
  return merge(Object.fromEntries(entries));
}

/** All values of a table: its defaults, overridden by the sources, the later ones over the earlier ones. */
export function resolve<Table extends Options>(table: Table, ...sources: readonly Overrides<Table>[]): Values<Table> {
  return merge<object>(defaultsOf(table), ...sources) as Values<Table>;
}

/**
 * Checks values that were read from a file.
 *
 * @param source - what the message calls the file
 * @throws UsageError for an unknown name, with the nearest known one, and for a value of the wrong kind
 */
export function checkValues<Table extends Options>(
  table: Table,
  values: Record<string, unknown>,
  source: string,
): Overrides<Table> {
  const names = Object.keys(table);
  for (const [name, value] of Object.entries(values)) {
    if (!Object.hasOwn(table, name)) {
      throw new UsageError(
        `${source}: unknown key ${quoted(name)}; did you mean ${JSON.stringify(closest(name, names))}?`,
      );
    }
    const problem = table[name].problem(value);
    if (problem) throw new UsageError(`${source}: ${name} ${problem}, got ${shown(value)}`);
  }
  return values as Overrides<Table>;
}

/**
 * Reads flags.
 *
 * @param flags - by the names of their options; a switch is a boolean
 * @throws UsageError for a value of the wrong kind
 */
export function parseFlags<Table extends Options>(
  table: Table,
  flags: Record<string, string | boolean>,
): Overrides<Table> {
  const entries = Object.entries(flags).map(([name, flag]) => {
    const value = typeof flag === 'string' ? table[name].parse(flag) : flag;
    const problem = table[name].problem(value);
    if (problem) throw new UsageError(`--${flagName(name)} ${problem}, got ${shown(flag)}`);
    return [name, value];
  });
  return Object.fromEntries(entries);
}

/** Longer values are cut in messages. */
const longestShown = 80;

/** A value for a message: as JSON where it can be, not too long. Configuration files may hold anything. */
function shown(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = typeof value === 'bigint' ? String(value) : 'a value that contains itself';
  }
  return printable(text.length > longestShown ? `${text.slice(0, longestShown)}…` : text);
}

/** `imageSize` as a flag: `image-size`. */
export const flagName = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** `; did you mean "tabby cat"?` if a known name is near enough to be what was meant, else nothing. */
export function suggestion(name: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const nearest = closest(name.toLowerCase(), known);
  const isNear = distance(name.toLowerCase(), nearest.toLowerCase()) <= Math.max(2, nearest.length / 2);
  return isNear ? `; did you mean ${JSON.stringify(nearest)}?` : '';
}
