export { applyBackbone, type Backbone, type BackboneInputs, backboneShapes, initBackbone } from './backbone.js';
export { assertBackboneConfig, type BackboneConfig, backboneSizes, type StackConfig } from './config.js';
export { applyDecoder } from './decoder.js';
export { applyEncoder } from './encoder.js';
export {
  type DrawMaskingOptions,
  drawMasking,
  drawMaskRatio,
  type Masking,
  maskedCount,
  maskingOfOrders,
  positionLists,
  type RandomSource,
  randomOrder,
  rasterOrder,
  roundUp,
} from './masking.js';
export { guidanceScale, maskedAfterStep } from './schedule.js';
export { gatherPositions, selectionMatrix, selectPositions } from './selection.js';
export {
  applyTransformerBlock,
  type StackOptions,
  type TransformerBlock,
} from './transformer-block.js';
