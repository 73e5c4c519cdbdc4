import { fileURLToPath } from 'node:url';
import { runProgram } from '@tb/command-line';
import { captureCommand, type Finished, startCommand as start } from '@tb/test-utils';
import { program } from '../src/program.js';

/** Starts tb-sample in a separate process. */
export const startCommand = (args: readonly string[]) => start(fileURLToPath(new URL('..', import.meta.url)), args);

/** Runs tb-sample inside this process; one at a time. */
export const runCommand = (...args: string[]): Promise<Finished> => captureCommand(() => runProgram(program, args));
