export { tableCommand } from './command.js';
export { type EngineValues, engineOptions, startEngine } from './engine.js';
export { assertExists, type LoadedVae, loadVaeFile } from './load-vae.js';
export {
  choice,
  flagName,
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
export { checkValues, mergeValues, parseFlags, suggestion, UsageError } from './resolve.js';
export { runProgram } from './run-program.js';
export { listenForStop } from './stop-signal.js';
