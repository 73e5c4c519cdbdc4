// How tests drive the command lines.
import { spawn } from 'node:child_process';
import { vi } from 'vitest';

export type Finished = { code: number | null; stdout: string; stderr: string };

/**
 * Starts a command line on the sources, in a separate process, as a user would from a shell.
 *
 * @param folder - of the application, which has its entry in `src/cli.ts`
 */
export function startCommand(folder: string, args: readonly string[]) {
  const flags = ['--import', 'tsx', '--conditions=@tb/source', 'src/cli.ts', ...args];
  const child = spawn(process.execPath, flags, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (data) => {
      output[stream] += data;
    });
  }
  const finished = new Promise<Finished>((resolve) => child.on('close', (code) => resolve({ code, ...output })));
  return { child, finished };
}

/** Runs a command line inside this process, which saves the start of another; one at a time. */
export async function captureCommand(run: () => Promise<void>): Promise<Finished> {
  const output = { stdout: '', stderr: '' };
  const add = (stream: 'stdout' | 'stderr', end: string) => (text: unknown) => {
    output[stream] += `${text}${end}`;
    return true;
  };
  const spies = [
    vi.spyOn(console, 'log').mockImplementation(add('stdout', '\n')),
    vi.spyOn(console, 'error').mockImplementation(add('stderr', '\n')),
    vi.spyOn(process.stdout, 'write').mockImplementation(add('stdout', '')),
    vi.spyOn(process.stderr, 'write').mockImplementation(add('stderr', '')),
  ];
  try {
    await run();
    return { code: Number(process.exitCode ?? 0), ...output };
  } finally {
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
  }
}
