export {
  type CalibrationOptions,
  type ChannelReport,
  calibrate,
  type LatentSpread,
  latentSpread,
  type Report,
  type ReportOptions,
  report,
  type SpreadOptions,
} from './calibration.js';
export {
  invertOrder,
  type LowFrequencyOptions,
  lowFrequencyOrder,
  lowFrequencyShares,
  type Shape4D,
} from './channel-order.js';
export { type PackOptions, packCodes, type UnpackedCodes, type UnpackOptions, unpackCodes } from './code-file.js';
export type { Spacing, Tails } from './codebook.js';
export { erf, erfc, normalQuantile } from './normal-distribution.js';
export type { QuantizerJSON, QuantizerOptions } from './options.js';
export { createQuantizer, fromJSON, type IndexArray, type Indices, type Quantizer } from './quantizer.js';
