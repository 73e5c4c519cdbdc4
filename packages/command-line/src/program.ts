// A command line: its commands, each made from a table of options, and how it runs and fails.
import { readFileSync } from 'node:fs';
import { FileFormatError, fileSystemReason, outliveReaders, printable, reasonOf } from '@tb/io';
import { Command, CommanderError, Option as CommanderOption } from 'commander';
import { leaveFolders } from './files.js';
import { flagName, type Option, type Options, type Overrides, parseFlags } from './options.js';

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
      process.exitCode = error.exitCode; // commander has printed what is wrong
    else {
      const sentence = sentenceOf(error as Error);
      console.error(`${program.name()}: ${process.env.TB_DEBUG ? (error as Error).stack : sentence}`);
      for (const listener of failureListeners.splice(0)) listener(sentence);
    }
  } finally {
    await leaveFolders();
  }
}

const failureListeners: ((sentence: string) => void)[] = [];

/** Calls `listener` with one sentence if the program fails. */
export function onFailure(listener: (sentence: string) => void): void {
  failureListeners.push(listener);
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

type Action<Table extends Options> = (flags: Overrides<Table>, positional: string[]) => Promise<void>;

/**
 * A subcommand whose flags are those of a table.
 *
 * @param action - gets the flags that were typed, and no others, and the arguments
 */
export function tableCommand<Table extends Options>(name: string, table: Table, action: Action<Table>): Command {
  const command = new Command(name);
  // The help lists headings in the order of their first options: those of this command alone come first.
  const options = Object.entries(table).sort(([, a], [, b]) => Number('group' in a) - Number('group' in b));
  for (const [key, option] of options) {
    const flag = `--${flagName(key)}${option.placeholder ? ` <${option.placeholder}>` : ''}`;
    const described = new CommanderOption(flag, describe(key, option));
    command.addOption(option.group ? described.helpGroup(`${option.group}:`) : described);
    if (!option.placeholder) command.addOption(new CommanderOption(`--no-${flagName(key)}`).hideHelp());
  }
  // Commander sets a switch with a --no- form to true when neither is given; only what was typed counts here.
  return command.allowExcessArguments(false).action(async () => {
    const typed = Object.entries(command.opts()).filter(([key]) => command.getOptionValueSource(key) === 'cli');
    await action(parseFlags(table, Object.fromEntries(typed)), command.args);
  });
}

function describe(key: string, { description, default: value, defaultText }: Option<unknown>): string {
  if (value === true) return `${description} (default; --no-${flagName(key)} turns it off)`;
  const text = value ?? defaultText;
  return text === undefined || text === false ? description : `${description} (default: ${text})`;
}

/**
 * The version of the package that a module belongs to.
 *
 * @param module - URL of a module in a folder next to the package's manifest, as `src` and `dist` are
 */
export function packageVersion(module: string): string {
  return JSON.parse(readFileSync(new URL('../package.json', module), 'utf8')).version;
}
