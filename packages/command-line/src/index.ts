// What a command line needs before it computes anything: quick to load, so that --help and mistakes are answered at once.
export { type BackendValues, backendOptions } from './backend-options.js';
export { type Cluster, formatAddress, jobFailed } from './cluster/cluster.js';
export { type ClusterValues, clusterOptions, detectCluster } from './cluster/detect.js';
export { findCluster, shareOfCluster } from './cluster/find-cluster.js';
export { waitForShares } from './cluster/wait-for-shares.js';
export { distanceOptions, extractionOptions, maxPixelsOption } from './evaluation-options.js';
export { assertExists, prepareFile, prepareFolder } from './files.js';
export {
  changeDefaults,
  checkValues,
  choice,
  type DefaultedOption,
  defaultsOf,
  flagName,
  grouped,
  integer,
  list,
  merge,
  number,
  numbers,
  type Option,
  type Options,
  type Overrides,
  omit,
  parseFlags,
  positiveOr,
  resolve,
  suggestion,
  text,
  toggle,
  UsageError,
  type Values,
} from './options.js';
export { withPasses } from './passes.js';
export { packageVersion, runProgram, tableCommand } from './program.js';
export { createProgressLine, type ProgressLine } from './progress-line.js';
export { listenForStop } from './stop-signal.js';
export { fixed, percent, textTable } from './text-table.js';
