export type { Spacing, Tails } from './codebook.js';
export { erf, erfc, normalQuantile } from './normal-distribution.js';
export type { QuantizerJSON, QuantizerOptions } from './options.js';
export { createQuantizer, fromJSON, type IndexArray, type Indices, type Quantizer } from './quantizer.js';
