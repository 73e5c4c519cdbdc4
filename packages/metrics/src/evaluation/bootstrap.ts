import { frechetDistance, type Gaussian } from '../frechet-distance.js';
import { gaussianStatistics } from '../gaussian-statistics.js';

/** A confidence interval around a distance, in the units of the distance; `low` is never below 0. */
export type ConfidenceInterval = {
  readonly low: number;
  readonly high: number;
  readonly level: 0.95;
  readonly resamples: number;
};

/** Options of `bootstrapInterval`. */
export type BootstrapOptions = {
  /** Number of draws (default 10); each costs one covariance and one distance. */
  readonly resamples?: number;
  /** Number of samples from which the distance was computed (default N). */
  readonly count?: number;
};

/**
 * Bootstrap confidence interval of a Fréchet distance: the samples' features are drawn again with replacement, the
 * distance's standard deviation over the draws gives the width. The draws themselves are not the centre, because
 * repeated samples bias a Fréchet distance upwards. Where only some of the samples' features were kept, the deviation
 * shrinks with the root of the count, as that of any smooth statistic does (Efron and Tibshirani 1993).
 *
 * @param features - [N, D] of the samples, or of some of them
 * @param distance - the distance of all samples as they are
 * @param random - uniform numbers in [0, 1)
 * @throws RangeError if `resamples` is below 2
 */
export function bootstrapInterval(
  features: ArrayLike<number>,
  reference: Gaussian,
  distance: number,
  random: () => number,
  { resamples = 10, count: total }: BootstrapOptions = {},
): ConfidenceInterval {
  if (resamples < 2) throw new RangeError(`bootstrapInterval: resamples must be at least 2, got ${resamples}`);
  const dimensions = reference.mean.length;
  const count = features.length / dimensions;
  const drawn = new Float32Array(features.length);
  const distances: number[] = [];
  for (let resample = 0; resample < resamples; resample++) {
    for (let i = 0; i < count; i++) {
      const from = Math.floor(random() * count) * dimensions;
      for (let k = 0; k < dimensions; k++) drawn[i * dimensions + k] = features[from + k];
    }
    distances.push(frechetDistance(gaussianStatistics(drawn, dimensions), reference));
  }
  const mean = distances.reduce((a, b) => a + b, 0) / resamples;
  const variance = distances.reduce((a, b) => a + (b - mean) ** 2, 0) / (resamples - 1);
  const margin = 1.96 * Math.sqrt((variance * count) / (total ?? count));
  return { low: Math.max(0, distance - margin), high: distance + margin, level: 0.95, resamples };
}
