import type { Command } from 'commander';

/**
 * Runs the program. A failure becomes one sentence on stderr and exit code 1; with
 * TB_DEBUG set, its stack.
 *
 * @param args - default: those of the process
 */
export async function runProgram(program: Command, args = process.argv.slice(2)): Promise<void> {
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    const { message, stack } = error as Error;
    console.error(`${program.name()}: ${process.env.TB_DEBUG ? stack : message}`);
    process.exitCode = 1;
  }
}
