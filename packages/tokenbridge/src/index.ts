export {
  type LoadedImageModel,
  type LoadedTokenBridge,
  type LoadOptions,
  loadImageModel,
  loadTokenBridge,
  modelConfigKey,
  type SaveOptions,
  saveTokenBridge,
} from './files.js';
export { type Generated, generate } from './generate.js';
export {
  createImageGenerator,
  type GeneratedImages,
  type ImageGenerator,
  type ImageGeneratorOptions,
  type ImageRequest,
  type ImagesPreview,
  type PositionDetails,
} from './image-generator.js';
export type { KnownTokens } from './known-tokens.js';
export { drawTrainingMasks, type Evaluation, evaluate, exampleTrainingMasks, loss } from './loss.js';
export type { MarEvaluation } from './mar-loss.js';
export type { LossInputs, LossOptions, TrainingMasks } from './masked-context.js';
export {
  assertTokenBridgeConfig,
  backboneConfig,
  channelHeadConfig,
  diffusionHeadConfig,
  type ImageModel,
  type ImageModelConfig,
  initTokenBridge,
  isMar,
  type Mar,
  type MarConfig,
  modelOf,
  officialChannelOrder,
  type ParametersOf,
  positionCount,
  type TokenBridge,
  type TokenBridgeConfig,
  tokenBridgeShapes,
} from './model.js';
export {
  ConfigNeededError,
  configFromOfficial,
  configOfShapes,
  type OfficialArguments,
  type WeightShapes,
} from './official.js';
export { configFromMar, type MarArguments } from './official-mar.js';
export { marPresets, presets, type RecommendedSampling, recommendedSampling } from './presets.js';
export { dequantize, type QuantizerConfig, quantize } from './quantization.js';
export { type StoredParameters, storeForSampling } from './sampling-programs.js';
export type { GenerateOptions, GeneratePreview, GenerateProgress, PreviewOptions } from './sampling-request.js';
