import { closest, distance } from 'fastest-levenshtein';
import { flagName, type Options, type ValuesOf } from './options.js';

/** A user's mistake: shown as one sentence, without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

type Values = Record<string, unknown>;

/** Layers of values, later ones win; a value that was not given does not hide an earlier one. */
export function mergeValues<Table extends Options>(...layers: readonly ValuesOf<Table>[]): ValuesOf<Table> {
  const merged: Values = {};
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer)) if (value !== undefined) merged[name] = value;
  }
  return merged as ValuesOf<Table>;
}

/** Values in which every option is there that has a default. */
export type Resolved<Values, Defaults> = Values & Required<Pick<Values, keyof Defaults & keyof Values>>;

/** Defaults, and the values that override them, later ones first. */
export function withDefaults<Values extends object, Defaults extends Partial<Values>>(
  defaults: Defaults,
  ...layers: readonly Values[]
): Resolved<Values, Defaults> {
  return mergeValues(defaults as never, ...(layers as never[])) as Resolved<Values, Defaults>;
}

/**
 * Checks values against their table.
 *
 * @param source - where they come from, for messages
 * @throws UsageError for an unknown name, with the nearest known one, and for a value of the wrong kind
 */
export function checkValues<Table extends Options>(table: Table, values: Values, source: string): ValuesOf<Table> {
  const names = Object.keys(table);
  for (const [name, value] of Object.entries(values)) {
    if (!Object.hasOwn(table, name)) {
      throw new UsageError(
        `${source}: unknown key ${JSON.stringify(name)}; did you mean ${JSON.stringify(closest(name, names))}?`,
      );
    }
    const problem = table[name].problem(value);
    if (problem) throw new UsageError(`${source}: ${name} ${problem}, got ${JSON.stringify(value)}`);
  }
  return values as ValuesOf<Table>;
}

/** Reads the values of flags, given as text or as booleans. */
export function parseFlags<Table extends Options>(
  table: Table,
  flags: Record<string, string | boolean>,
): ValuesOf<Table> {
  const values: Values = {};
  for (const [name, given] of Object.entries(flags)) {
    const value = typeof given === 'string' ? table[name].parse(given) : given;
    const problem = table[name].problem(value);
    if (problem) throw new UsageError(`--${flagName(name)} ${problem}, got ${JSON.stringify(given)}`);
    values[name] = value;
  }
  return values as ValuesOf<Table>;
}

/** "; did you mean "tabby cat"?" where a known name is near enough to be what was meant, else nothing. */
export function suggestion(given: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const nearest = closest(given.toLowerCase(), known);
  const isNear = distance(given.toLowerCase(), nearest.toLowerCase()) <= Math.max(2, nearest.length / 2);
  return isNear ? `; did you mean ${JSON.stringify(nearest)}?` : '';
}
