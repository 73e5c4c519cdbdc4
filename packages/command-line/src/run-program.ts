import type { Command } from 'commander';

/**
 * Runs the program with the arguments of the process. A failure becomes one sentence on stderr and exit code 1; with
 * TB_DEBUG set, its stack.
 */
export async function runProgram(program: Command): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    const { message, stack } = error as Error;
    console.error(`${program.name()}: ${process.env.TB_DEBUG ? stack : message}`);
    process.exitCode = 1;
  }
}
