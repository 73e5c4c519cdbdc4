export { assertDiffusionHeadConfig, type DiffusionHeadConfig, diffusionHeadSizes } from './config.js';
export {
  type DenoiseOptions,
  type DenoisingBlock,
  type DiffusionHead,
  diffusionHeadShapes,
  initDiffusionHead,
} from './diffusion-head.js';
export { type DiffusionLoss, type DiffusionLossInputs, diffusionLoss } from './loss.js';
export {
  conditionOnFeatures,
  type DenoisingCondition,
  type DenoisingSettings,
  type DenoisingState,
  denoise,
  drawSampleNoise,
  type SampleNoise,
  type SampleValuesOptions,
  sampleValues,
} from './sample.js';
export { type NoiseSchedule, noiseSchedule, trainingSteps } from './schedule.js';
export { drawTrainingNoise, type TrainingNoiseShape } from './training-noise.js';
