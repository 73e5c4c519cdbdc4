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
export { type InceptionScore, type InceptionScoreOptions, inceptionScore } from './inception-score.js';
export { type KernelDistance, type KernelDistanceOptions, kernelDistance } from './kernel-distance.js';
export { type Features, type ManifoldScores, manifoldScores } from './nearest-neighbours.js';
