/** The file of measurements: what was measured, where, when, with which versions and command. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type PjrtExecutor, XlaBackend } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';

/** Where figures come from. */
type Provenance = {
  date: string;
  hardware: string;
  versions: Record<string, string>;
  command: string;
};

/** What one call of a program measured. */
export type Result = Provenance & {
  /** Of what, if the figures depend on it. */
  preset?: string;
  precision?: string;
  [figure: string]: unknown;
};

/** What several calls measured, each figure the latest; `date` and `versions` are those of the latest call. */
export type ResultsFile = Result & {
  /** Which call each figure comes from; those of another preset or precision as `fp32.tokenMs`. */
  measurements: (Provenance & { figures: string[] })[];
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

/**
 * Adds to what the file holds. Calls may have run on different machines and days, so the file states for each call which of
 * its figures are still there. Figures of another preset or precision than the file's have a separate group.
 */
export function mergeResults(held: ResultsFile | undefined, result: Result): ResultsFile {
  const { date, hardware, versions, command, preset, precision, ...figures } = result;
  const { preset: filePreset = preset, precision: filePrecision = precision, measurements: earlier = [] } = held ?? {};
  const group = [preset !== filePreset && preset, precision !== filePrecision && precision].filter(Boolean).join(' ');
  const names = Object.keys(figures).map((name) => (group ? `${group}.${name}` : name));
  const measurements = withCall(earlier, { date, hardware, versions, command, figures: names });
  return {
    ...held,
    ...(group ? { [group]: { ...(held?.[group] as object), ...figures } } : figures),
    date,
    hardware: distinct(measurements.map((call) => call.hardware)).join(', '),
    versions,
    command: distinct(measurements.map((call) => call.command)).join(' && '),
    ...(filePreset && { preset: filePreset }),
    ...(filePrecision && { precision: filePrecision }),
    measurements,
  };
}

type Call = ResultsFile['measurements'][number];

/** Adds a call, whose figures are no earlier one's any more; a program that reports several times is one call. */
function withCall(earlier: readonly Call[], call: Call): Call[] {
  const left = earlier.map((each) => ({
    ...each,
    figures: each.figures.filter((figure) => !call.figures.includes(figure)),
  }));
  const same = left.find((each) => isDeepStrictEqual({ ...each, figures: call.figures }, call));
  const others = left.filter((each) => each !== same && each.figures.length > 0);
  return [...others, { ...call, figures: [...(same?.figures ?? []), ...call.figures] }];
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}

/** Prints the result, and merges it into the file if there is one to write. */
export function report(result: Result, path: string | undefined): void {
  console.log(JSON.stringify(result, undefined, 2));
  if (!path) return;
  const held = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ResultsFile) : undefined;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(mergeResults(held, result), undefined, 2)}\n`);
}
