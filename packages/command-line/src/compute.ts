// Imported only by what a command runs: it loads TensorFlow.js, which --help does not need.
export { joinCluster } from './cluster/join-cluster.js';
export { startBackend } from './start-backend.js';
