import { FileFormatError, fileSystemReason, type InputError, outliveReaders, printable } from '@tb/io';
import { type Command, CommanderError } from 'commander';
import { leaveFolders } from './output.js';

/**
 * Runs the program. A failure becomes one sentence on stderr and exit code 1; with TB_DEBUG set, its stack. Folders
 * that were made for results are given back, and removed if they stayed empty.
 *
 * @param args - default: those of the process
 */
export async function runProgram(program: Command, args = process.argv.slice(2)): Promise<void> {
  for (const command of [program, ...program.commands]) {
    const name = command === program ? `${program.name()} <command>` : `${program.name()} ${command.name()}`;
    command.exitOverride().showHelpAfterError(`(${name} --help lists the options)`);
  }
  outliveReaders();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = 1;
    if (error instanceof CommanderError)
      process.exitCode = error.exitCode; // commander has said what is wrong
    else
      console.error(`${program.name()}: ${process.env.TB_DEBUG ? (error as Error).stack : sentenceOf(error as Error)}`);
  } finally {
    await leaveFolders();
  }
}

const mostLines = 8;

/** What a user is told: no names of functions, no endless lists. */
function sentenceOf(error: Error): string {
  if (error instanceof FileFormatError) {
    const { file, offset, reason, isSound } = error;
    if (isSound) return printable(`${file} cannot be read: ${reason}`);
    const place = offset === undefined ? '' : `byte ${offset}: `;
    return printable(`${file} cannot be read: it is damaged, incomplete or of another kind (${place}${reason})`);
  }
  if (isInputError(error)) return linesOf(error.what);
  const { code, path } = error as NodeJS.ErrnoException;
  if (code !== undefined && path !== undefined) return `${printable(path)} cannot be used: ${fileSystemReason(error)}`;
  return linesOf(error.message.replace(/^[a-z]+[A-Z]\w*: /, ''));
}

/** By its form: packages that may not import @tb/io have errors of the same form. */
const isInputError = (error: Error): error is InputError => typeof (error as Partial<InputError>).what === 'string';

function linesOf(sentence: string): string {
  const lines = sentence.split('\n').map(printable);
  if (lines.length <= mostLines) return lines.join('\n');
  return [...lines.slice(0, mostLines), `  … and ${lines.length - mostLines} more; TB_DEBUG=1 shows all`].join('\n');
}
