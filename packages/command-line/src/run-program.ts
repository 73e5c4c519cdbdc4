import { FileFormatError, fileSystemReason, outliveReaders, printable, reasonOf } from '@tb/io';
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

/** The wasm backend ends with an error of WebAssembly when its 4 GB are used up; no other cause of one is known. */
const outOfMemory =
  'the 4 GB of memory of the wasm backend are exhausted: smaller images, or fewer at once (--batch), need less';

/** What a user reads: no names of functions, no endless lists. */
function sentenceOf(error: Error): string {
  if (error instanceof FileFormatError) {
    const { file, offset, reason, isSound } = error;
    if (isSound) return printable(`${file} cannot be read: ${reason}`);
    const place = offset === undefined ? '' : `byte ${offset}: `;
    return printable(`${file} cannot be read: it is damaged, incomplete or of another kind (${place}${reason})`);
  }
  const { code, path } = error as NodeJS.ErrnoException;
  if (code !== undefined && path !== undefined) return `${printable(path)} cannot be used: ${fileSystemReason(error)}`;
  if (error instanceof WebAssembly.RuntimeError) return outOfMemory;
  const lines = reasonOf(error).split('\n').map(printable);
  if (lines.length <= mostLines) return lines.join('\n');
  return [...lines.slice(0, mostLines), `  … and ${lines.length - mostLines} more; TB_DEBUG=1 shows all`].join('\n');
}
