// Starts one process of a job through a shell, here or by ssh, and passes on what it prints.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PlannedProcess, quote, shellScript } from './plan.js';

/** How a process has ended. */
export type End = { index: number; host?: string; code: number; signal?: string };

/** A process that was started. */
export type Started = {
  /** Sends it a signal. */
  signal(name: 'TERM' | 'INT' | 'KILL'): void;
  /** Resolves when it has ended. */
  ended: Promise<End>;
};

/** What all processes of a job have in common. */
export type StartOptions = {
  /** Program and arguments. */
  words: readonly string[];
  folder: string;
  secret: string;
  /** Words of the command that reaches a host. */
  ssh: readonly string[];
  /** Receives each line that the process prints. */
  onLine: (index: number, line: string, stream: 'stdout' | 'stderr') => void;
};

/** A host that does not answer for 20 seconds is gone. */
const sshOptions = [
  '-o',
  'BatchMode=yes',
  '-o',
  'ConnectTimeout=15',
  '-o',
  'ServerAliveInterval=5',
  '-o',
  'ServerAliveCountMax=4',
];

/** How long the last output of a process that has ended may take to arrive. */
const lastOutputMs = 1000;

export function startProcess({ index, host, variables }: PlannedProcess, options: StartOptions): Started {
  const script = shellScript(options.words, variables, options.folder);
  const [ssh = 'ssh', ...sshWords] = options.ssh;
  const child =
    host === undefined
      ? spawn('sh', ['-c', script], { stdio: 'pipe', detached: true }) // Ctrl-C reaches it only through this process
      : spawn(ssh, [...sshWords, ...sshOptions, host, `sh -c ${quote(script)}`], { stdio: 'pipe', detached: true });
  child.stdin.on('error', () => {}); // it has ended: `ended` reports how
  child.stdin.write(`${options.secret}\n`);
  const printed = (['stdout', 'stderr'] as const).map((stream) =>
    forEachLine(child[stream], (line) => options.onLine(index, line, stream)),
  );
  const ended = new Promise<End>((resolve) => {
    child.on('error', (error) => {
      options.onLine(index, error.message, 'stderr');
      resolve({ index, host, code: 255 });
    });
    // What a program has started may outlive it and keep its output open: that is not waited for.
    child.on('exit', (code, signal) => {
      const isRead = Promise.all(printed);
      void Promise.race([isRead, sleep(lastOutputMs)]).then(() => {
        for (const stream of child.stdio) stream?.destroy();
        resolve(endOf({ index, host }, code, signal));
      });
    });
  });
  return { signal: (name) => child.stdin.write(`${name}\n`), ended };
}

async function forEachLine(stream: Readable, take: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) take(line);
}

const signals: Record<number, string> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  6: 'SIGABRT',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM',
};

/** A shell reports a program that a signal has ended by 128 and the signal's number. */
function endOf(which: Pick<End, 'index' | 'host'>, code: number | null, signal: string | null): End {
  if (code === null) return { ...which, code: 255, signal: signal ?? 'unknown' };
  const name = code > 128 ? signals[code - 128] : undefined;
  return { ...which, code, ...(name !== undefined && { signal: name }) };
}

/** Finds out which hosts can be reached. */
export async function reachableHosts(
  hosts: readonly string[],
  [ssh = 'ssh', ...words]: readonly string[],
): Promise<string[]> {
  const answers = await Promise.all(
    hosts.map(
      (host) =>
        new Promise<boolean>((resolve) => {
          const child = spawn(ssh, [...words, ...sshOptions, host, 'true'], { stdio: 'ignore' });
          child.on('error', () => resolve(false));
          child.on('close', (code) => resolve(code === 0));
        }),
    ),
  );
  return hosts.filter((_, place) => answers[place]);
}
