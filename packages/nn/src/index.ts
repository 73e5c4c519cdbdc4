export { gelu, silu } from './activations.js';
export { assertLastAxis, assertRate, assertShape } from './assert.js';
export {
  type Attention,
  type AttentionConfig,
  type AttentionOptions,
  applyAttention,
  applyCachedAttention,
  attentionParameters,
  type KeyValueCache,
} from './attention.js';
export { applyConv2d, type Conv2d, type Conv2dOptions, conv2dParameters, type Padding } from './conv.js';
export { crossEntropy } from './cross-entropy.js';
export {
  type AttentionDropout,
  type BlockDropout,
  type Dropout,
  dropout,
  dropoutOfBlocks,
  type MlpDropout,
} from './dropout.js';
export { applyEmbedding, applyEmbeddings, type Embedding, embeddingParameters } from './embedding.js';
export { applyGroupNorm, type GroupNorm, type GroupNormOptions, groupNormParameters } from './group-norm.js';
export { fanInUniform, normal, xavierUniform } from './initializers.js';
export { applyLayerNorm, type LayerNorm, layerNormParameters, modulate } from './layer-norm.js';
export { applyLinear, applyLinears, type Linear, linearParameters, zeroLinearParameters } from './linear.js';
export { applyMlp, type Mlp, type MlpOptions, mlpParameters } from './mlp.js';
export {
  countParameters,
  type Declaration,
  type DeclaredParameter,
  flattenShapes,
  type Initializer,
  initParameters,
  loadParameters,
  parameter,
  readParameters,
  type Shape,
  type ShapesOf,
  shapesOf,
} from './params.js';
export { applyDownsample, applyUpsample, type Resample, resampleParameters } from './resample.js';
