export { type TestBackend, testBackend, testBackends } from './backends.js';
export { expectClose, relativeError } from './closeness.js';
export { formulaWeights } from './formula-weights.js';
export { type GoldenTensor, goldenJson, goldenPath, goldenTensors, toNumbers } from './golden.js';
export { writeLegacyCheckpoint } from './pytorch-file.js';
