import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve as resolvePath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closest } from 'fastest-levenshtein';
import { flagName, type Options, type ValuesOf } from './spec.js';

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

const ownConfigs = ['../configs/', '../../configs/'].map((folder) => fileURLToPath(new URL(folder, import.meta.url)));

/**
 * Reads a configuration file: TypeScript, JavaScript or JSON, by its path or by the name of one that comes with tb-train.
 *
 * @throws UsageError when it is missing, cannot be read, or is meant for another command
 */
export async function readConfig<Table extends Options>(
  table: Table,
  path: string,
  command: string,
): Promise<ValuesOf<Table>> {
  const file = findConfig(path);
  let content: unknown;
  try {
    content = file.endsWith('.json')
      ? JSON.parse(await readFile(file, 'utf8'))
      : await (await import('jiti')).createJiti(import.meta.url).import(file, { default: true });
  } catch (error) {
    throw new UsageError(`config ${path} cannot be read: ${(error as Error).message}`);
  }
  if (typeof content !== 'object' || content === null) {
    throw new UsageError(`config ${path} must export an object of options as its default`);
  }
  const { command: meantFor = command, ...values } = content as Values;
  if (meantFor !== command)
    throw new UsageError(`config ${path} is for tb-train ${meantFor}, not for tb-train ${command}`);
  return checkValues(table, values, `config ${path}`);
}

function findConfig(path: string): string {
  const candidates = [resolvePath(path), ...ownConfigs.map((folder) => `${folder}${path}.ts`)];
  const found = candidates.find((candidate) => existsSync(candidate));
  if (!found)
    throw new UsageError(`config ${path} does not exist, neither as a file nor as a configuration of tb-train`);
  return found;
}
