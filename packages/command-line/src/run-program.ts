import { type Command, CommanderError } from 'commander';

/**
 * Runs the program. A failure becomes one sentence on stderr and exit code 1; with
 * TB_DEBUG set, its stack.
 *
 * @param args - default: those of the process
 */
export async function runProgram(program: Command, args = process.argv.slice(2)): Promise<void> {
  for (const command of [program, ...program.commands]) {
    const name = command === program ? `${program.name()} <command>` : `${program.name()} ${command.name()}`;
    command.exitOverride().showHelpAfterError(`(${name} --help lists the options)`);
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = 1;
    if (error instanceof CommanderError)
      process.exitCode = error.exitCode; // commander has said what is wrong
    else
      console.error(`${program.name()}: ${process.env.TB_DEBUG ? (error as Error).stack : (error as Error).message}`);
  }
}
