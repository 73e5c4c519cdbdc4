// What a command line needs before it computes anything: quick to load, so that --help and mistakes are answered at once.
export { tableCommand } from './command.js';
export { type EngineValues, engineOptions } from './engine-options.js';
export { assertExists, findWeights } from './input.js';
export {
  choice,
  flagName,
  grouped,
  integer,
  list,
  number,
  numbers,
  type Options,
  text,
  toggle,
  type ValuesOf,
} from './options.js';
export { prepareFile, prepareFolder } from './output.js';
export { packageVersion } from './package-version.js';
export {
  checkValues,
  mergeValues,
  parseFlags,
  type Resolved,
  suggestion,
  UsageError,
  withDefaults,
} from './resolve.js';
export { runProgram } from './run-program.js';
export { listenForStop } from './stop-signal.js';
