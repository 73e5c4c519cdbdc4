export { type BatchShare, shareOfBatch, takeRows } from './data/batch-share.js';
export { type BatchSource, createDataOrder, type DataOrder } from './data/batches.js';
export { createDecodePool, type DecodePool, DecodePoolError } from './data/decode-pool.js';
export { type ImageBatch, type ImageBatchOptions, openImageBatches } from './data/image-batches.js';
export {
  type BadImage,
  type ImageFolderOptions,
  type ImageSource,
  openImageFolder,
  type SampleRequest,
} from './data/image-source.js';
export { type LatentBatch, openLatentBatches, readHeldOutLatents } from './data/latent-batches.js';
export { type LatentCache, type LatentCacheInfo, type LatentSamples, openLatentCache } from './data/latent-cache.js';
export { writeLatentCache } from './data/latent-cache-writer.js';
export type { CachePart, CacheSample } from './data/latent-shard.js';
export { openPhotographCrops, type PhotographCropsOptions } from './data/photograph-crops.js';
export { type LogRecord, readRecords } from './log/json-lines.js';
export { type ReportImage, type ReportInput, type ReportTable, renderReport } from './log/report.js';
export { createRunLog, type RunLog } from './log/run-log.js';
export { NonFiniteLossError } from './loss-queue.js';
export {
  type AdamWOptions,
  type AdamWState,
  applyAdamW,
  defaultAdamW,
  initAdamW,
  isDecayed,
} from './optimizer/adamw.js';
export { clipByGlobalNorm, globalNorm } from './optimizer/clip.js';
export { learningRateAt, type ScheduleOptions, scaledLearningRate } from './optimizer/schedule.js';
export { type SavedCheckpoint, type SaveOptions, saveCheckpoint } from './run-folder/checkpoint-writer.js';
export { finishedWeightsOf, logOf, sampleFile } from './run-folder/layout.js';
export {
  assertSameVae,
  classNamesOf,
  findVae,
  type LoadedModel,
  type LoadedVae,
  type LoadModelOptions,
  loadModel,
  loadVaeFile,
  prefixLine,
  vaeOfModel,
} from './run-folder/load-weights.js';
export { findDamage, writeManifest } from './run-folder/manifest.js';
export { type Checkpoint, findWeights, openRun, type RunFolder, type WeightSet } from './run-folder/open-run.js';
export type { Progress } from './run-folder/progress.js';
export { type Change, compareData, type DataChanges, describeImages, type TrainedOn } from './run-folder/trained-on.js';
export { type LoadedState, type LoadStateOptions, loadNewestState } from './run-folder/training-state.js';
export { describeWeights, readWeightsInfo, type WeightsInfo } from './run-folder/weights-info.js';
export type { Task, TrainOptions } from './task.js';
export { calibrateVae, createLatentStatistics, type LatentStatistics } from './tasks/calibrate-vae.js';
export { createFeaturesTask, type FeaturesTaskOptions } from './tasks/features-task.js';
export { type LatentScale, type LatentScaleOptions, withLatentScale } from './tasks/latent-scale.js';
export {
  cachedMoments,
  createModelTask,
  encodedImages,
  type LatentInput,
  type ModelTaskOptions,
} from './tasks/model-task.js';
export { defaultVaeLossWeights, type VaeLossWeights, vaeLoss } from './tasks/vae-loss.js';
export { createVaeTask, measureLatents, quantizedLatents, reconstruct } from './tasks/vae-task.js';
export { type TrainResult, train } from './train.js';
export {
  createTrainStep,
  initTrainState,
  type LossFunction,
  type LossResult,
  type Parallelism,
  type StepInputs,
  type StepMetrics,
  type TrainState,
  type TrainStepOptions,
  updateEma,
  valueAndGradients,
} from './train-step.js';
