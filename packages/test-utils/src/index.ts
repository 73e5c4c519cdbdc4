export { expectClose, relativeError } from './closeness.js';
export { type GoldenTensor, goldenJson, goldenPath, goldenTensors } from './golden.js';
