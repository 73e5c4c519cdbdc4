export { type TestBackend, testBackend, testBackends } from './backends.js';
export { expectClose, relativeError } from './closeness.js';
export { captureCommand, type Finished, startCommand } from './commands.js';
export { formulaWeights } from './formula-weights.js';
export { type GoldenTensor, goldenJson, goldenPath, goldenTensors, toNumbers } from './golden.js';
export { writeLegacyCheckpoint } from './pytorch-file.js';
export { type CheckpointContent, writeTorchCheckpoint } from './torch-checkpoint.js';
