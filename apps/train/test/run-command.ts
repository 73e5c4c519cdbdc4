import { fileURLToPath } from 'node:url';
import { runProgram } from '@tb/command-line';
import { captureCommand, type Finished, startCommand as start } from '@tb/test-utils';
import { program } from '../src/program.js';

/** Starts tb-train in a separate process. */
export const startCommand = (args: readonly string[]) => start(fileURLToPath(new URL('..', import.meta.url)), args);

/** Starts tb-sample in a separate process. */
export const startSample = (args: readonly string[]) =>
  start(fileURLToPath(new URL('../../sample', import.meta.url)), args);

/** Runs tb-train inside this process; one at a time. */
export const runCommand = (args: readonly string[]): Promise<Finished> =>
  captureCommand(() => runProgram(program, [...args]));
