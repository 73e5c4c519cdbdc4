export {
  assertTokenBridgeConfig,
  backboneConfig,
  channelHeadConfig,
  officialChannelOrder,
  positionCount,
  type TokenBridgeConfig,
} from './config.js';
export { ConfigNeededError, configOfShapes, type WeightShapes } from './config-of-shapes.js';
export { type LoadOptions, loadTokenBridge, modelConfigKey, type SaveOptions, saveTokenBridge } from './files.js';
export { type Generated, type GenerateOptions, type GenerateProgress, generate } from './generate.js';
export {
  drawTrainingMasks,
  type Evaluation,
  evaluate,
  type LossInputs,
  type LossOptions,
  loss,
  type TrainingMasks,
} from './loss.js';
export { configFromOfficial, type OfficialArguments } from './official-config.js';
export { initTokenBridge, type TokenBridge, tokenBridgeShapes } from './parameters.js';
export { presets } from './presets.js';
export { dequantize, type QuantizerConfig, quantize, quantizerOf } from './quantization.js';
export { storeForSampling } from './sampling-programs.js';
