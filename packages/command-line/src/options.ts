// One table per command says which options it has. The same table reads flags, checks configuration files, and writes
// the help text, so that they cannot differ.

/** How one option is read and checked. */
export type Option<Value> = {
  /** What the help says; a sentence without a full stop. */
  description: string;
  /** Stands for the value in the help; absent for a switch. */
  placeholder?: string;
  /** Heading under which the help lists it. */
  group?: string;
  /** Value of a flag given as text. */
  parse(text: string): Value;
  /** What is wrong with a value from a configuration file or from `parse`, if anything. */
  problem(value: unknown): string | undefined;
};

export type Options = Record<string, Option<unknown>>;

/** The values that belong to a table; an option that was not given is absent. */
export type ValuesOf<Table extends Options> = {
  [Name in keyof Table]?: Table[Name] extends Option<infer Value> ? Value : never;
};

/** The options of a table under a heading of their own in the help. */
export function grouped<Table extends Options>(group: string, table: Table): Table {
  return Object.fromEntries(Object.entries(table).map(([name, option]) => [name, { ...option, group }])) as Table;
}

export function text(description: string, placeholder = 'text'): Option<string> {
  return {
    description,
    placeholder,
    parse: (value) => value,
    problem: (value) => (typeof value === 'string' && value !== '' ? undefined : 'must be a text that is not empty'),
  };
}

type Range = { min?: number; max?: number };

export function number(
  description: string,
  { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }: Range = {},
): Option<number> {
  return {
    description,
    placeholder: 'number',
    parse: (value) => (value.trim() === '' ? Number.NaN : Number(value)),
    problem: (value) =>
      Number.isFinite(value) && (value as number) >= min && (value as number) <= max
        ? undefined
        : `must be a number${rangeText(min, max)}`,
  };
}

export function integer(description: string, { min = 0, max = Number.MAX_SAFE_INTEGER }: Range = {}): Option<number> {
  return {
    description,
    placeholder: 'integer',
    parse: (value) => (value.trim() === '' ? Number.NaN : Number(value)),
    problem: (value) =>
      Number.isInteger(value) && (value as number) >= min && (value as number) <= max
        ? undefined
        : `must be an integer${rangeText(min, max === Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : max)}`,
  };
}

export function toggle(description: string): Option<boolean> {
  return {
    description,
    parse: (value) => value === 'true',
    problem: (value) => (typeof value === 'boolean' ? undefined : 'must be true or false'),
  };
}

/** Texts with commas between them. */
export function list(description: string, placeholder = 'a,b,…'): Option<readonly string[]> {
  return {
    description,
    placeholder,
    parse: (value) => value.split(',').map((entry) => entry.trim()),
    problem: (value) =>
      Array.isArray(value) && value.length > 0 && value.every((entry) => typeof entry === 'string' && entry !== '')
        ? undefined
        : 'must be texts with commas between them',
  };
}

/** Numbers with commas between them. */
export function numbers(description: string, range: Range & { whole?: boolean } = {}): Option<readonly number[]> {
  const one = range.whole ? integer(description, range) : number(description, range);
  return {
    description,
    placeholder: 'a,b,…',
    parse: (value) => value.split(',').map(one.parse),
    problem: (value) => {
      if (!Array.isArray(value) || value.length === 0) return 'must be numbers with commas between them';
      const problem = value.map(one.problem).find((each) => each !== undefined);
      return problem && `each ${problem}`;
    },
  };
}

export function choice<const Name extends string>(description: string, names: readonly Name[]): Option<Name> {
  return {
    description: `${description}: ${names.join(', ')}`,
    placeholder: 'name',
    parse: (value) => value as Name,
    problem: (value) => (names.includes(value as Name) ? undefined : `must be one of ${names.join(', ')}`),
  };
}

function rangeText(min: number, max: number): string {
  if (min > Number.NEGATIVE_INFINITY && max < Number.POSITIVE_INFINITY) return ` from ${min} to ${max}`;
  if (min > Number.NEGATIVE_INFINITY) return ` of at least ${min}`;
  return max < Number.POSITIVE_INFINITY ? ` of at most ${max}` : '';
}

/** `imageSize` as the command line writes it: `image-size`. */
export const flagName = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
