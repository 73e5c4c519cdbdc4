// Where a campaign works: a scratch folder, the bundled programs that it attacks, and how they are run.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bundlePrograms, type ProgramName } from './programs.js';
import { openScratch, type Scratch } from './scratch.js';

export type Command = { program: ProgramName; args: readonly string[] };

export type ProcessOptions = {
  /** Milliseconds after the start at which the process is killed by SIGKILL, unless it has ended. */
  killAfter?: number;
  env?: NodeJS.ProcessEnv;
  /** Flags of Node itself. */
  flags?: readonly string[];
  /** Milliseconds after which the process hangs, in the campaign's view, and is killed. Default: two minutes. */
  timeout?: number;
  /** Called with what the process prints. */
  onOutput?(text: string): void;
};

export type ProcessEnd = {
  /** Exit code; null when a signal ended the process. */
  code: number | null;
  /** Whether `killAfter` ended it. */
  killed: boolean;
  /** Whether it was still running after `timeout`. */
  hung: boolean;
  stdout: string;
  stderr: string;
  milliseconds: number;
};

export type Workshop = Omit<Scratch, 'path'> & {
  /** Runs a bundled program to its end. */
  run(command: Command, options?: ProcessOptions): Promise<ProcessEnd>;
};

/** Opens a workshop in the folder for temporary files, and bundles the programs. */
export async function openWorkshop(): Promise<Workshop> {
  const scratch = openScratch();
  const programs = await bundlePrograms(join(scratch.path, 'programs'));
  return {
    ...scratch,
    run: ({ program, args }, options) => runProcess([...(options?.flags ?? []), programs[program], ...args], options),
  };
}

function runProcess(args: readonly string[], options: ProcessOptions = {}): Promise<ProcessEnd> {
  const { killAfter, timeout = 120_000, env, onOutput } = options;
  const start = performance.now();
  const child = spawn(process.execPath, args, {
    env: { ...environment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = { killed: false, hung: false, stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      end[stream] += text;
      onOutput?.(text);
    });
  const timers = [setTimeout(() => (end.hung = child.kill('SIGKILL')), timeout)];
  if (killAfter !== undefined) timers.push(setTimeout(() => (end.killed = child.kill('SIGKILL')), killAfter));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      for (const timer of timers) clearTimeout(timer);
      // A signal that came when the process had ended did nothing.
      resolve({ ...end, killed: end.killed && code === null, code, milliseconds: performance.now() - start });
    });
  });
}

/** The last line of what a process printed: the sentence of its failure. */
export const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

/** The caller's environment without what would change the programs. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS|TB_.*|LD_PRELOAD)$/.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: '1' };
}
