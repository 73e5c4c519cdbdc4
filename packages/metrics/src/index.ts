export { frechetDistance, type Gaussian } from './frechet-distance.js';
export {
  accumulate,
  createAccumulator,
  finishStatistics,
  type GaussianStatistics,
  gaussianStatistics,
  type StatisticsAccumulator,
} from './gaussian-statistics.js';
export { type PixelImage, psnr, ssim } from './image-quality.js';
export { INCEPTION_SIZE, type InceptionFeatures, inceptionFeatures } from './inception/network.js';
export { type InceptionPreprocessing, prepareForInception } from './inception/preprocess.js';
export { type InceptionWeights, inceptionWeights } from './inception/weights.js';
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
