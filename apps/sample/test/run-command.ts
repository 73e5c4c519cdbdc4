import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runProgram } from '@tb/command-line';
import { vi } from 'vitest';
import { program } from '../src/program.js';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

export type Finished = { code: number | null; stdout: string; stderr: string };

/** Starts tb-sample on the sources, as a user would from a shell. */
export function startCommand(args: readonly string[]) {
  const flags = ['--import', 'tsx', '--conditions=@tb/source', 'src/cli.ts', ...args];
  const child = spawn(process.execPath, flags, { cwd: packageFolder, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    output.stdout += data;
  });
  child.stderr.on('data', (data) => {
    output.stderr += data;
  });
  const finished = new Promise<Finished>((resolve) => child.on('close', (code) => resolve({ code, ...output })));
  return { child, finished };
}

/**
 * Runs tb-sample inside this process, which saves the start of another; one at a time. A process that commander itself ends,
 * as for an unknown option, needs `startCommand`.
 */
export async function runCommand(...args: string[]): Promise<Finished> {
  const output = { stdout: '', stderr: '' };
  const capture = (stream: 'stdout' | 'stderr') => (text: unknown) => {
    output[stream] += `${text}\n`;
  };
  const spies = [
    vi.spyOn(console, 'log').mockImplementation(capture('stdout')),
    vi.spyOn(console, 'error').mockImplementation(capture('stderr')),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      output.stderr += text;
      return true;
    }),
  ];
  try {
    await runProgram(program, args);
    return { code: Number(process.exitCode ?? 0), ...output };
  } finally {
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
  }
}
