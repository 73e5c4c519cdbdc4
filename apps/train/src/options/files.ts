// Options that name files, and configuration files.
import { readdirSync, statSync } from 'node:fs';
import { parse, resolve as resolvePath } from 'node:path';
import {
  checkValues,
  type Options,
  type Overrides,
  positiveOr,
  suggestion,
  text,
  toggle,
  UsageError,
} from '@tb/command-line';
import { FileFormatError, jsonShape, printable, quoted, readJson } from '@tb/io';
import { packageFolder } from '../package.js';

export const configOption = text('file of options, or the name of one that is bundled with tb-train', {
  placeholder: 'file',
});

export const vaeOption = text('autoencoder: run folder of tb-train vae, .safetensors file or official .ckpt', {
  placeholder: 'path',
});

export const latentScaleOption = {
  ...positiveOr('auto', 'factor of the latents that brings them to unit variance, auto to measure it'),
  defaultText: 'that of the autoencoder, or 0.2325 where its file does not state it',
};

export const initialOption = text('run folder or weights to start from', { placeholder: 'path' });

/** Options that accept on purpose what a run otherwise refuses. */
export const acceptOptions = {
  anyClasses: toggle('accept weights of --resume or --initial that were trained on other classes', { default: false }),
  anyVae: toggle('accept an autoencoder that the weights of --resume or --initial were not trained with', {
    default: false,
  }),
};

/**
 * Reads a configuration file: TypeScript, JavaScript or JSON, by its path or by the name of a bundled one.
 *
 * @throws UsageError when it is missing, cannot be read, or is for another command
 */
export async function readConfig<Table extends Options>(
  table: Table,
  path: string,
  command: string,
): Promise<Overrides<Table>> {
  const file = findConfig(path);
  let content: unknown;
  try {
    content = file.endsWith('.json')
      ? await readJson(file, jsonShape.anything)
      : await (await import('jiti')).createJiti(import.meta.url).import(file, { default: true });
  } catch (error) {
    if (error instanceof FileFormatError) throw new UsageError(`config ${path} cannot be read: it ${error.reason}`);
    // The parser puts the place of a syntax error on a separate line.
    throw new UsageError(`config ${path} cannot be read: ${printable((error as Error).message.replace(/\s+/g, ' '))}`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UsageError(`config ${path} must export an object of options as its default`);
  }
  const { command: meantFor = command, ...values } = content as Record<string, unknown>;
  if (meantFor !== command)
    throw new UsageError(`config ${path} is for tb-train ${nameOfCommand(meantFor)}, not for tb-train ${command}`);
  return checkValues(table, values, `config ${path}`);
}

/** The command that a file states, for a message: it may state anything. */
export const nameOfCommand = (named: unknown) =>
  typeof named === 'string' ? (/^[a-z-]{1,20}$/.test(named) ? named : quoted(named)) : 'something else';

function findConfig(path: string): string {
  const bundled = packageFolder('configs');
  const file = [resolvePath(path), `${bundled}/${path}.ts`].find(isFile);
  if (file !== undefined) return file;
  const names = readdirSync(bundled).map((name) => parse(name).name);
  throw new UsageError(
    `config ${path} is neither a file nor a configuration that is bundled with tb-train${suggestion(path, names)}`,
  );
}

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
