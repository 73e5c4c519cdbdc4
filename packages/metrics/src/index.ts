export { type BootstrapOptions, bootstrapInterval, type ConfidenceInterval } from './evaluation/bootstrap.js';
export { type Collection, type CollectOptions, collect, createCollection } from './evaluation/collect.js';
export { type CollectionOrigin, loadCollection, saveCollection } from './evaluation/collection-file.js';
export { type EvaluateOptions, type EvaluationReport, evaluate } from './evaluation/evaluate.js';
export { type ExtractedFeatures, type FeatureExtractor, inceptionExtractor } from './evaluation/feature-extractor.js';
export { loadReference, type Reference, referenceFromCollection } from './evaluation/reference.js';
export { reportFileName, reportText } from './evaluation/report-text.js';
export {
  evaluatePaths,
  openSamples,
  type RunOptions,
  type SampleOptions,
  saveReferenceStatistics,
} from './evaluation/run.js';
export { frechetDistance, type Gaussian } from './frechet-distance.js';
export {
  accumulate,
  createAccumulator,
  finishStatistics,
  type GaussianStatistics,
  gaussianStatistics,
  type StatisticsAccumulator,
} from './gaussian-statistics.js';
export { type ComparableImage, psnr, ssim } from './image-quality.js';
export { INCEPTION_SIZE, type InceptionFeatures, inceptionFeatures } from './inception/network.js';
export { type InceptionPreprocessing, prepareForInception } from './inception/preprocess.js';
export { inceptionShapes } from './inception/shapes.js';
export { type InceptionWeights, inceptionWeights } from './inception/weights.js';
export {
  findInceptionWeights,
  INCEPTION_SHA256,
  type InceptionWeightsFile,
  type InceptionWeightsOptions,
  loadInceptionWeights,
} from './inception/weights-file.js';
export {
  accumulateInceptionScore,
  createInceptionScore,
  finishInceptionScore,
  type InceptionScore,
  type InceptionScoreAccumulator,
  type InceptionScoreOptions,
  inceptionScore,
} from './inception-score.js';
export { type KernelDistance, type KernelDistanceOptions, kernelDistance } from './kernel-distance.js';
export { type Features, type ManifoldScores, manifoldScores } from './nearest-neighbours.js';
export { numpyPermutation } from './numpy-permutation.js';
export { openSampleFolder, type SampleFolderOptions } from './samples/folder.js';
export { openSampleNpz } from './samples/npz.js';
export { type SampleBatch, type SampleSource, samplesInMemory } from './samples/sample-source.js';
export {
  type ClassAgreement,
  classAgreement,
  type LabelledImages,
  smallFeatureExtractor,
} from './small-features/extractor.js';
export {
  applySmallFeatures,
  initSmallFeatures,
  type SmallFeatureConfig,
  type SmallFeatures,
  smallFeatureShapes,
  smallFeatureWidths,
} from './small-features/network.js';
export { loadSmallFeatures, type SmallFeatureFile, saveSmallFeatures } from './small-features/weights-file.js';
