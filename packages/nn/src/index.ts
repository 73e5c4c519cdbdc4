export { gelu, silu } from './activations.js';
export { assertLastAxis, assertRate, assertShape } from './assert.js';
export {
  type Attention,
  type AttentionConfig,
  type AttentionOptions,
  applyAttention,
  applyCachedAttention,
  attentionShapes,
  initAttention,
  type KeyValueCache,
} from './attention.js';
export { type BlockDropout, type Dropout, dropoutOfBlocks } from './block-dropout.js';
export {
  applyConv2d,
  type Conv2d,
  type Conv2dOptions,
  conv2dShapes,
  initConv2d,
  type Padding,
} from './conv.js';
export { crossEntropy } from './cross-entropy.js';
export { dropout } from './dropout.js';
export { applyEmbedding, applyEmbeddings, type Embedding, embeddingShapes, initEmbedding } from './embedding.js';
export { applyGroupNorm, type GroupNorm, type GroupNormOptions, groupNormShapes, initGroupNorm } from './group-norm.js';
export { fanInUniform, normal, xavierUniform } from './initializers.js';
export { applyLayerNorm, initLayerNorm, type LayerNorm, layerNormShapes } from './layer-norm.js';
export { applyLinear, applyLinears, initLinear, initZeroLinear, type Linear, linearShapes } from './linear.js';
export { applyMlp, initMlp, type Mlp, type MlpOptions, mlpShapes } from './mlp.js';
export { modulate } from './modulation.js';
export {
  countParameters,
  flattenShapes,
  initParameters,
  loadParameters,
  readParameters,
  type Shape,
  type ShapesOf,
} from './params.js';
export { applyDownsample, applyUpsample, initResample, type Resample, resampleShapes } from './resample.js';
