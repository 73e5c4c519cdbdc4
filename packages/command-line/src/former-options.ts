// The former form of tables, whose defaults are a second object. It goes away as soon as no command uses it.
import { merge, type Options, type Overrides } from './options.js';

export type ValuesOf<Table extends Options> = Overrides<Table>;

/** Values in which every option is there that has a default. */
export type Resolved<Values, Defaults> = Values & Required<Pick<Values, keyof Defaults & keyof Values>>;

export function withDefaults<Values extends object, Defaults extends Partial<Values>>(
  defaults: Defaults,
  ...sources: readonly Values[]
): Resolved<Values, Defaults> {
  return merge<object>(defaults, ...sources) as Resolved<Values, Defaults>;
}

export function mergeValues<Table extends Options>(...sources: readonly Overrides<Table>[]): Overrides<Table> {
  return merge(...sources);
}
