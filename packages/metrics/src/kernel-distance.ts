import { forEachProductTile } from './linear-algebra/row-products.js';
import type { Features } from './nearest-neighbours.js';

/** Options of `kernelDistance`. */
export type KernelDistanceOptions = {
  /** Number of random subsets; 100 is the convention. */
  readonly subsets?: number;
  /** Samples per subset; at most the size of the smaller set. */
  readonly subsetSize?: number;
  /** Uniform numbers in [0, 1) that draw the subsets. */
  readonly random: () => number;
};

/** Mean and (population) standard deviation of the distance over the subsets; the deviation is not the error of the mean. */
export type KernelDistance = { readonly mean: number; readonly standardDeviation: number };

/**
 * Kernel Inception Distance (Bińkowski et al. 2018): unbiased squared maximum mean discrepancy with the polynomial
 * kernel (x·y / D + 1)³, averaged over random subsets. It can be slightly negative.
 *
 * @throws RangeError if dimensions disagree or there are fewer than two samples
 */
export function kernelDistance(
  first: Features,
  second: Features,
  { subsets = 100, subsetSize = 1000, random }: KernelDistanceOptions,
): KernelDistance {
  const { dimensions } = first;
  if (dimensions !== second.dimensions) {
    throw new RangeError(
      `kernelDistance: both sets must have the same dimensions, got ${dimensions} and ${second.dimensions}`,
    );
  }
  const counts = [first, second].map(({ values }) => values.length / dimensions);
  const size = Math.min(subsetSize, ...counts);
  if (!(size >= 2)) throw new RangeError(`kernelDistance: at least 2 samples are needed, got ${counts.join(' and ')}`);
  const isWhole = counts.every((count) => count === size); // then all subsets are the same
  const draws = isWhole ? 1 : subsets;
  const estimates: number[] = [];
  for (let i = 0; i < draws; i++) {
    const x = subset(first, counts[0], size, random);
    const y = subset(second, counts[1], size, random);
    estimates.push(discrepancy(x, y, size, dimensions));
  }
  const mean = estimates.reduce((a, b) => a + b, 0) / draws;
  const variance = estimates.reduce((a, b) => a + (b - mean) ** 2, 0) / draws;
  return { mean, standardDeviation: Math.sqrt(variance) };
}

/** `size` different rows, by a partial Fisher-Yates shuffle. */
function subset({ values, dimensions }: Features, count: number, size: number, random: () => number): Float64Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const rows = new Float64Array(size * dimensions);
  for (let i = 0; i < size; i++) {
    const j = i + Math.floor(random() * (count - i));
    [order[i], order[j]] = [order[j], order[i]];
    for (let k = 0; k < dimensions; k++) rows[i * dimensions + k] = values[order[i] * dimensions + k];
  }
  return rows;
}

function discrepancy(x: Float64Array, y: Float64Array, size: number, dimensions: number): number {
  const within = sumWithin(x, dimensions) + sumWithin(y, dimensions);
  let across = 0;
  forEachProductTile(dimensions, x, y, ({ rows, columns, products }) => {
    for (let i = 0; i < rows * columns; i++) across += kernel(products[i], dimensions);
  });
  return (2 * within) / (size * (size - 1)) - (2 * across) / (size * size);
}

/** Sum of the kernel over all pairs of different rows, each pair once. */
function sumWithin(x: Float64Array, dimensions: number): number {
  let sum = 0;
  forEachProductTile(dimensions, x, undefined, ({ first, second, rows, columns, products }) => {
    for (let i = 0; i < rows; i++) {
      const others = Math.min(columns, first + i - second); // rows before this one
      for (let j = 0; j < others; j++) sum += kernel(products[i * columns + j], dimensions);
    }
  });
  return sum;
}

function kernel(product: number, dimensions: number): number {
  return (product / dimensions + 1) ** 3;
}
