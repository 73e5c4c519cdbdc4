import { existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { parse, resolve as resolvePath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkValues, type Options, suggestion, UsageError, type ValuesOf } from '@tb/command-line';

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
    // Of a syntax error the parser says the place on a line of its own.
    throw new UsageError(`config ${path} cannot be read: ${(error as Error).message.replace(/\s+/g, ' ')}`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UsageError(`config ${path} must export an object of options as its default`);
  }
  const { command: meantFor = command, ...values } = content as Record<string, unknown>;
  if (meantFor !== command)
    throw new UsageError(`config ${path} is for tb-train ${meantFor}, not for tb-train ${command}`);
  return checkValues(table, values, `config ${path}`);
}

function findConfig(path: string): string {
  const candidates = [resolvePath(path), ...ownConfigs.map((folder) => `${folder}${path}.ts`)];
  const found = candidates.find(isFile);
  if (found) return found;
  const known = ownConfigs.filter((folder) => existsSync(folder)).flatMap((folder) => readdirSync(folder));
  throw new UsageError(
    `config ${path} is neither a file nor a configuration that comes with tb-train${suggestion(
      path,
      known.map((file) => parse(file).name),
    )}`,
  );
}

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
