import { spawn } from 'node:child_process';

export type ProgramResult = { code: number; stdout: string; stderr: string };

export type ProgramOptions = {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Called with every line that the program prints. */
  onLine?: (line: string) => void;
};

/** Runs a program to its end. A program that cannot be started has code 127 and the reason in `stderr`. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const { onLine, ...spawnOptions } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...spawnOptions, stdio: ['ignore', 'pipe', 'pipe'] });
    const result = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        result[stream] += text;
        if (onLine) for (const line of text.split('\n')) if (line.trim() !== '') onLine(line);
      });
    }
    child.on('error', (error) => resolve({ code: 127, stdout: '', stderr: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, ...result }));
  });
}
