/** The file of a measurement: what was measured, where, with which versions and command. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, dirname } from 'node:path';
import { type PjrtExecutor, XlaBackend } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';

export type Result = {
  date: string;
  hardware: string;
  versions: Record<string, string>;
  command: string;
  [measured: string]: unknown;
};

/** The measured values with where they come from. */
export function describe(measured: Record<string, unknown>, now = new Date()): Result {
  const backend = tf.backend();
  const executor = backend instanceof XlaBackend ? (backend.executor as Partial<PjrtExecutor>) : undefined;
  const { api } = executor?.plugin ?? {};
  return {
    date: now.toISOString().slice(0, 10),
    hardware: executor?.deviceKind ?? `${cpus().length} × ${cpus()[0]?.model}`,
    versions: {
      node: process.versions.node,
      'tensorflow.js': tf.version_core,
      ...(api && { 'PJRT C API': `${api.version.major}.${api.version.minor}` }),
      ...(executor?.platformVersion && { platform: executor.platformVersion }),
    },
    command: commandOf(process.argv),
    ...measured,
  };
}

/** How this program was started, without the folders of this machine. */
export function commandOf([, script, ...rest]: readonly string[]): string {
  return [
    'node --import tsx --conditions=@tb/source',
    `bench/${basename(script).replace(/\.m?js$/, '.ts')}`,
    ...rest,
  ].join(' ');
}

/** Adds to what the file holds; where two programs measured different machines, it says which was which. */
export function mergeResults(held: Partial<Result>, result: Result): Result {
  const commands = [held.command, result.command].filter((command) => command !== undefined);
  const isOther = held.hardware !== undefined && held.hardware !== result.hardware;
  return {
    ...held,
    ...result,
    hardware: isOther
      ? `${held.hardware} (${scripts(held.command)}), ${result.hardware} (${scripts(result.command)})`
      : result.hardware,
    command: [...new Set(commands.flatMap((each) => each.split(' && ')))].join(' && '),
  };
}

/** The programs of a command line: `large-train, large-sample`. */
function scripts(command = ''): string {
  return [...new Set(Array.from(command.matchAll(/bench\/([\w-]+)\.ts/g), ([, name]) => name))].join(', ');
}

/** Prints the result, and merges it into the file if there is one to write. */
export function report(result: Result, path: string | undefined): void {
  console.log(JSON.stringify(result, undefined, 2));
  if (!path) return;
  const held = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Partial<Result>) : {};
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(mergeResults(held, result), undefined, 2)}\n`);
}
