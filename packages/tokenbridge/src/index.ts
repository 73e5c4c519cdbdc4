export {
  type LoadedTokenBridge,
  type LoadOptions,
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
export {
  drawTrainingMasks,
  type Evaluation,
  evaluate,
  exampleTrainingMasks,
  type LossInputs,
  type LossOptions,
  loss,
  type TrainingMasks,
} from './loss.js';
export {
  assertTokenBridgeConfig,
  backboneConfig,
  channelHeadConfig,
  initTokenBridge,
  officialChannelOrder,
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
export { presets, type RecommendedSampling, recommendedSampling } from './presets.js';
export { dequantize, type QuantizerConfig, quantize } from './quantization.js';
export { type StoredParameters, storeForSampling } from './sampling-programs.js';
export type { GenerateOptions, GeneratePreview, GenerateProgress, PreviewOptions } from './sampling-request.js';
