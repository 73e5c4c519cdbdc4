import { createPanels } from './linear-algebra/row-products.js';

/**
 * Mean and covariance of feature vectors, gathered in a stream in float64: memory does not grow with the number of
 * samples. D = feature dimensions.
 */
export type GaussianStatistics = {
  readonly count: number;
  /** [D] */
  readonly mean: Float64Array;
  /** Unbiased covariance (divisor count − 1, as `numpy.cov`), row-major [D, D]. */
  readonly covariance: Float64Array;
};

/** Sums about a fixed shift (the first sample), so that no large mean cancels in the covariance. */
export type StatisticsAccumulator = {
  readonly dimensions: number;
  count: number;
  readonly shift: Float64Array;
  readonly sum: Float64Array;
  /** Lower triangle of Σ (x − shift)(x − shift)ᵀ, row-major [D, D]. */
  readonly products: Float64Array;
};

/**
 * Makes an accumulator without samples.
 *
 * @param dimensions - D; the products take 8·D² bytes, 32 MiB for the 2048 of Inception
 * @throws RangeError if `dimensions` is not a positive integer
 */
export function createAccumulator(dimensions: number): StatisticsAccumulator {
  if (!Number.isInteger(dimensions) || dimensions < 1) {
    throw new RangeError(`createAccumulator: dimensions must be a positive integer, got ${dimensions}`);
  }
  return {
    dimensions,
    count: 0,
    shift: new Float64Array(dimensions),
    sum: new Float64Array(dimensions),
    products: new Float64Array(dimensions * dimensions),
  };
}

/**
 * Adds a batch of feature vectors.
 * @param features - [N, D], row-major
 * @throws RangeError if the length is not a multiple of D, or a value is not finite (it names row and dimension)
 */
export function accumulate(accumulator: StatisticsAccumulator, features: ArrayLike<number>): void {
  const { dimensions: d, shift } = accumulator;
  if (features.length % d !== 0) {
    throw new RangeError(`accumulate: features must hold a multiple of ${d} numbers, got ${features.length}`);
  }
  for (let i = 0; i < features.length; i++) {
    if (!Number.isFinite(features[i])) {
      throw new RangeError(
        `accumulate: features must be finite, got ${features[i]} in row ${Math.floor(i / d)}, dimension ${i % d}`,
      );
    }
  }
  const rows = features.length / d;
  if (accumulator.count === 0) for (let i = 0; i < d && rows > 0; i++) shift[i] = features[i];
  for (let first = 0; first < rows; first += CHUNK) {
    addProducts(accumulator, features, first, Math.min(CHUNK, rows - first));
  }
  accumulator.count += rows;
}

/** Number of samples that are added together: 2048 features of each take 4 MB. */
const CHUNK = 256;

/** Adds `count` samples from number `first` on to sums and products. */
function addProducts(
  { dimensions: d, shift, sum, products }: StatisticsAccumulator,
  features: ArrayLike<number>,
  first: number,
  count: number,
): void {
  const { left: columns, stride, sums, multiply } = createPanels(count, d); // transposed: rows of one dimension
  for (let k = 0; k < count; k++) {
    const row = (first + k) * d;
    for (let i = 0; i < d; i++) {
      const value = features[row + i] - shift[i];
      columns[i * stride + k] = value;
      sum[i] += value;
    }
  }
  for (let i = 0; i < d; i += 2) {
    for (let j = 0; j <= i + 1; j += 4) {
      multiply(i, j);
      for (let p = i; p < Math.min(i + 2, d); p++) {
        for (let q = j; q < Math.min(j + 4, p + 1); q++) products[p * d + q] += sums[4 * (p - i) + q - j];
      }
    }
  }
}

/** @throws RangeError below two samples, of which no covariance exists */
export function finishStatistics(accumulator: StatisticsAccumulator): GaussianStatistics {
  const { dimensions: d, count, shift, sum, products } = accumulator;
  if (count < 2) throw new RangeError(`finishStatistics: at least 2 samples are needed for a covariance, got ${count}`);
  const mean = Float64Array.from({ length: d }, (_, i) => shift[i] + sum[i] / count);
  const covariance = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      const value = (products[i * d + j] - (sum[i] * sum[j]) / count) / (count - 1);
      covariance[i * d + j] = value;
      covariance[j * d + i] = value;
    }
  }
  return { count, mean, covariance };
}

/** Computes mean and covariance of features [N, D] that are in memory. */
export function gaussianStatistics(features: ArrayLike<number>, dimensions: number): GaussianStatistics {
  const accumulator = createAccumulator(dimensions);
  accumulate(accumulator, features);
  return finishStatistics(accumulator);
}
