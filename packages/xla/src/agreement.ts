/**
 * The processes of a group run one program together, so each of them must have made the same one: otherwise they would
 * wait for each other's collectives forever, or compute nonsense. Before such a program is compiled, they compare it.
 */
import { createHash } from 'node:crypto';
import { getJson, nextKey, putJson } from '@tb/runtime';
import { type ArraySpec, type CompileOptions, type Executor, tensorType } from './executor.js';

/** Processes may come to a program at different times: one reads data, another loads a checkpoint. */
const arrivalTimeoutMs = 10 * 60_000;

/** A program as one process made it. */
type ProgramRequest = Pick<CompileOptions, 'name' | 'flags'> & {
  replicas: number;
  text: string;
  inputs: readonly ArraySpec[];
  outputs: readonly ArraySpec[];
};

/** What is compared, by the names that messages give it. */
const comparedParts = {
  module: 'its StableHLO module',
  flags: 'its compiler flags',
  compiler: 'the compiler or its environment',
  arguments: 'the types of its arguments',
} as const;
type Fingerprint = Record<keyof typeof comparedParts, string>;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Compares a program that several processes are to run together. Process 0 compares, and all of them get its verdict.
 *
 * @throws Error in every process, naming the program, the process that differs, what differs, and both hashes; or when a
 *   process does not come in time
 */
export function assertSameProgram(
  { processes, compilerIdentity = '' }: Pick<Executor, 'processes' | 'compilerIdentity'>,
  { name, flags = {}, replicas, text, inputs }: ProgramRequest,
  timeoutMs = arrivalTimeoutMs,
): void {
  if (!processes || replicas === 1) return;
  const { index, count, store } = processes;
  const title = name || 'a program';
  const key = nextKey(processes, `program/${title}`);
  const own: Fingerprint = {
    module: sha256(text),
    flags: sha256(JSON.stringify(flags)),
    compiler: sha256(compilerIdentity),
    arguments: sha256(inputs.map(tensorType).join()),
  };
  if (index > 0) {
    putJson(store, `${key}/${index}`, own);
    const { failed } = getJson<{ failed?: string }>(store, `${key}/verdict`, { timeoutMs });
    if (failed !== undefined) throw new Error(failed);
    return;
  }
  let failed: string | undefined;
  for (let other = 1; other < count && failed === undefined; other++) {
    failed = compare(title, own, other, () => getJson(store, `${key}/${other}`, { timeoutMs }));
  }
  putJson(store, `${key}/verdict`, { failed });
  if (failed !== undefined) throw new Error(failed);
}

/** @returns what differs, or why it is not known; undefined if nothing does */
function compare(title: string, own: Fingerprint, other: number, read: () => Fingerprint): string | undefined {
  let theirs: Fingerprint;
  try {
    theirs = read();
  } catch (error) {
    return `jit: process ${other} did not come to ${title} (${(error as Error).message}): all processes must run the same programs`;
  }
  const parts = Object.keys(comparedParts) as (keyof Fingerprint)[];
  const differing = parts.filter((part) => own[part] !== theirs[part]);
  if (differing.length === 0) return undefined;
  const what = differing
    .map(
      (part) => `${comparedParts[part]} (SHA-256 ${theirs[part].slice(0, 12)}, in process 0 ${own[part].slice(0, 12)})`,
    )
    .join(' and ');
  return (
    `jit: process ${other} made another ${title} than process 0. ${what} differ${differing.length === 1 ? 's' : ''}: ` +
    'all processes must run the same code, with the same options and data'
  );
}
