import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { jobFailed, UsageError } from '@tb/command-line';
import { printable } from '@tb/io';
import type { LaunchValues } from './options.js';
import { passedVariables, planProcesses } from './plan.js';
import { type End, reachableHosts, type Started, startProcess } from './start.js';

/** Commands of this program that resume from a checkpoint. */
const training = new Set(['model', 'vae', 'features']);

/** After a failure, the other processes get this long to notice it and end by themselves. */
const ownEndMs = 10_000;

/** After SIGTERM, processes get this long. */
const termMs = 20_000;

/** Processes on hosts that are cut off have ended after this: without heartbeats, they are killed. */
const cutOffMs = 30_000;

/** `tb-train launch`: starts all processes, and again after a failure. */
export async function launch(values: LaunchValues, command: readonly string[]): Promise<void> {
  const job = `launch ${randomBytes(8).toString('hex')}`;
  const secret = randomBytes(16).toString('hex');
  const stop = listenForSignals();
  let { hosts } = values;
  try {
    for (let incarnation = 0; ; incarnation++) {
      const ends = await runOnce({ values: { ...values, hosts }, command, job, secret, incarnation }, stop);
      const worst = worstOf(ends);
      if (worst === undefined || stop.code() > 0 || isStop(worst)) {
        process.exitCode = stop.code() || (worst?.code ?? 0);
        return;
      }
      console.error(`${describeEnd(worst)}${describeRest(incarnation, values.restarts)}`);
      if (incarnation >= values.restarts) {
        process.exitCode = worst.code;
        return;
      }
      hosts = hosts && (await remainingHosts(hosts, ends, values));
    }
  } finally {
    stop.close();
  }
}

type Attempt = {
  values: LaunchValues;
  command: readonly string[];
  job: string;
  secret: string;
  incarnation: number;
};

type Stop = ReturnType<typeof listenForSignals>;

/** Starts all processes once, and waits until all have ended. Returns how, the first one first. */
async function runOnce({ values, command, job, secret, incarnation }: Attempt, stop: Stop): Promise<End[]> {
  const { hosts, processes, coordinator, port = 61_440 + randomInt(4096), folder = process.cwd() } = values;
  const variables = hosts ? passedVariables(process.env, values.env) : {};
  const planned = planProcesses({ hosts, processes, coordinator, port, job, incarnation, variables });
  const words = wordsOf(command, values.program, incarnation > 0);
  const onLine = linePrinter();
  const ssh = splitWords(values.ssh);
  const started = planned.map((each) => startProcess(each, { words, folder, secret, ssh, onLine }));
  stop.watch(started);
  const ends: End[] = [];
  const ended = started.map(async ({ ended: end }) => {
    const result = await end;
    if (result.code !== 0 && ends.every(({ code }) => code === 0)) void endAll(started);
    ends.push(result);
  });
  await Promise.all(ended);
  return ends;
}

/** Ends what does not end by itself. */
async function endAll(started: readonly Started[]): Promise<void> {
  const all = Promise.all(started.map(({ ended }) => ended)).then(() => true);
  const within = (ms: number) => Promise.race([all, sleep(ms, false, { ref: false })]);
  if (await within(ownEndMs)) return;
  for (const { signal } of started) signal('TERM');
  if (await within(termMs)) return;
  for (const { signal } of started) signal('KILL');
}

/** The command line of a process: this program, unless the first word is not one of its commands. */
function wordsOf(command: readonly string[], program: string | undefined, isRestart: boolean): string[] {
  const [name = ''] = command;
  const own = ['model', 'vae', 'features', 'cache', 'eval', 'doctor'];
  if (name === 'launch') throw new UsageError('launch cannot start launch');
  if (!own.includes(name)) return [...command];
  const words = program === undefined ? [process.execPath, ...process.execArgv, process.argv[1]!] : splitWords(program);
  const resumes = isRestart && training.has(name) && !command.includes('--resume');
  return [...words, ...command, ...(resumes ? ['--resume-or-start'] : [])];
}

/** The words of an option that holds a command. */
const splitWords = (text: string) => text.split(' ').filter(Boolean);

/** Prints lines with the number of their process. The reason for the end of the job is printed once. */
function linePrinter() {
  const reasons = new Set<string>();
  return (index: number, line: string, stream: 'stdout' | 'stderr') => {
    if (line.startsWith('the job has failed: ')) {
      if (reasons.has(line)) return;
      reasons.add(line);
    }
    process[stream].write(`[${index}] ${line}\n`);
  };
}

/** The failure that ended the job: the first one that was not a reaction to another process's failure. */
function worstOf(ends: readonly End[]): End | undefined {
  const failed = ends.filter(({ code }) => code !== 0);
  return failed.find(({ code }) => code !== jobFailed) ?? failed[0];
}

/** Whether a process was asked to stop, and has saved. */
const isStop = ({ code }: Pick<End, 'code'>) => code === 130 || code === 143;

function describeEnd({ index, host, code, signal }: End): string {
  const where = host === undefined ? `process ${index}` : `process ${index} on ${printable(host)}`;
  if (code === 255 && host !== undefined) return `${where} is lost: ssh cannot reach the host, or lost the connection`;
  return `${where} ended with ${signal ?? `exit code ${code}`}`;
}

function describeRest(incarnation: number, restarts: number): string {
  if (restarts === 0) return '';
  if (incarnation >= restarts) return `; all restarts (--restarts ${restarts}) are used up`;
  return `; all start again (${incarnation + 1} of ${restarts})`;
}

/** @throws UsageError when hosts are gone, and the job may not continue without them */
async function remainingHosts(
  hosts: readonly string[],
  ends: readonly End[],
  { ssh, shrink }: LaunchValues,
): Promise<string[]> {
  if (!ends.some(({ code }) => code === 255)) return [...hosts];
  await sleep(cutOffMs);
  const reachable = await reachableHosts(hosts, splitWords(ssh));
  const gone = hosts.filter((host) => !reachable.includes(host));
  if (gone.length === 0) return reachable;
  if (!shrink || reachable.length === 0)
    throw new UsageError(`${gone.join(', ')} cannot be reached; --shrink starts again on the remaining hosts`);
  console.error(`${gone.join(', ')} cannot be reached: starting on ${reachable.join(', ')}`);
  return reachable;
}

/** Passes signals on to all processes. The second one kills them. */
function listenForSignals() {
  let started: readonly Started[] = [];
  let code = 0;
  const codes = { SIGINT: 130, SIGTERM: 143 } as const;
  const take = (name: keyof typeof codes) => {
    const isSecond = code > 0;
    code = codes[name];
    for (const { signal } of started) signal(isSecond ? 'KILL' : name === 'SIGINT' ? 'INT' : 'TERM');
  };
  const names = Object.keys(codes) as (keyof typeof codes)[];
  for (const name of names) process.on(name, take);
  return {
    /** The exit code of the signal that came, or 0. */
    code: () => code,
    watch(processes: readonly Started[]) {
      started = processes;
    },
    close() {
      for (const name of names) process.off(name, take);
    },
  };
}
