export {
  applyBackbone,
  type Backbone,
  type BackboneInputs,
  backboneShapes,
  initBackbone,
  type StackOptions,
  type TransformerBlock,
} from './backbone.js';
export { assertBackboneConfig, type BackboneConfig, backboneSizes, type StackConfig } from './config.js';
export {
  type DrawMaskingOptions,
  drawMasking,
  drawMaskRatio,
  gatherPositions,
  guidanceOfStep,
  type Masking,
  maskedAfterStep,
  maskedCount,
  maskingOfOrders,
  positionLists,
  type RandomSource,
  randomOrder,
  rasterOrder,
  roundUp,
  selectionMatrix,
  selectPositions,
} from './positions.js';
