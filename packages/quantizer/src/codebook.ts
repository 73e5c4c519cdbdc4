// Boundaries b and reconstruction values γ of the scalar quantizer (paper, Eq. 2 and 3), on the normalized axis ξ
// where [min, max] lies at [−range, range].

import { erf, erfc, normalDensity, normalQuantile } from './normal-distribution.js';
import { referenceErf, referenceExp } from './reference-rounding.js';

/** Where the levels lie: equal probability under a standard normal distribution, or equal width. */
export type Spacing = 'gaussian' | 'linear';

/** Whether the two outer bins end at ±range (the released code) or reach to infinity (Eq. 3 to the letter). */
export type Tails = 'clamped' | 'unbounded';

export type CodebookOptions = { levels: number; range: number; spacing: Spacing; tails: Tails };

/** Computes the `levels + 1` bin boundaries of Eq. 2, ascending. */
export function binBoundaries({ levels, range, spacing, tails }: CodebookOptions): Float64Array {
  const boundaries = new Float64Array(levels + 1);
  for (let i = 0; 2 * i < levels; i++) {
    if (spacing === 'linear') boundaries[i] = range * ((2 * i) / levels - 1);
    else boundaries[i] = tails === 'unbounded' ? normalQuantile(i / levels) : clamp(normalQuantile(i / levels), range);
    boundaries[levels - i] = -boundaries[i];
  }
  return boundaries;
}

/** Computes the `levels` codewords γ: the mean of the standard normal within each bin (Eq. 3), or the bin's centre. */
export function reconstructionValues(boundaries: Float64Array, spacing: Spacing): Float64Array {
  const levels = boundaries.length - 1;
  const values = new Float64Array(levels);
  for (let i = 0; 2 * i < levels - 1; i++) {
    const [low, high] = [boundaries[i], boundaries[i + 1]];
    values[i] = spacing === 'linear' ? (low + high) / 2 : truncatedNormalMean(low, high);
    values[levels - 1 - i] = -values[i];
  }
  return values;
}

/**
 * Computes E[ξ | low ≤ ξ < high] of a standard normal ξ. Narrow bins are integrated, because the quotient of Eq. 3 subtracts
 * nearly equal numbers there and loses as many digits as `levels` has.
 */
export function truncatedNormalMean(low: number, high: number): number {
  if (low + high > 0) return -truncatedNormalMean(-high, -low);
  if (high - low > 1) {
    const mass = high <= 0 ? erfc(-high / Math.SQRT2) - erfc(-low / Math.SQRT2) : erfDifference(low, high);
    return (2 * (normalDensity(low) - normalDensity(high))) / mass;
  }
  const middle = (low + high) / 2;
  let mass = 0;
  let moment = 0;
  for (const [node, weight] of gaussLegendre) {
    const offset = (node * (high - low)) / 2;
    const density = weight * Math.exp(-offset * (middle + offset / 2)); // relative to the density at the middle
    mass += density;
    moment += density * offset;
  }
  return middle + moment / mass;
}

const erfDifference = (low: number, high: number) => erf(high / Math.SQRT2) - erf(low / Math.SQRT2);

/**
 * Computes the codewords γ as the released code does: every operation rounded to float32, with its library's exp and erf.
 * Beyond a few hundred levels that arithmetic gives empty or disordered bins; then γ is the float64 codebook rounded to float32.
 */
export function referenceCodebook(levels: number, range: number, exact: Float64Array): Float32Array {
  const f32 = Math.fround;
  const boundaries = referenceBoundaries(levels, range);
  const density = boundaries.map((b) => referenceExp(f32(-0.5 * f32(b * b))) / f32(Math.sqrt(2 * Math.PI)));
  const cumulative = boundaries.map((b) => 0.5 * f32(1 + referenceErf(f32(b / f32(Math.SQRT2)))));
  const codebook = new Float32Array(levels);
  for (let i = 0; i < levels; i++) {
    codebook[i] = f32(density[i] - density[i + 1]) / f32(cumulative[i + 1] - cumulative[i]);
    const isEmptyOrDisordered = !(boundaries[i] < boundaries[i + 1]) || (i > 0 && !(codebook[i - 1] < codebook[i]));
    if (isEmptyOrDisordered || !Number.isFinite(codebook[i])) return Float32Array.from(exact);
  }
  return codebook;
}

/** Quantiles of the float32 probabilities of torch.linspace(0, 1, levels + 1), which counts down from 1 past the middle. */
function referenceBoundaries(levels: number, range: number): Float32Array {
  const step = Math.fround(1 / levels);
  return Float32Array.from({ length: levels + 1 }, (_, i) => {
    const probability = i < Math.floor((levels + 1) / 2) ? step * i : 1 - step * (levels - i);
    return clamp(normalQuantile(Math.fround(probability)), range);
  });
}

const clamp = (x: number, range: number) => Math.min(Math.max(x, -range), range);

/** Nodes and weights on [−1, 1]; 12 integrate a bin of width 1 to the last digit. */
const gaussLegendre = legendreNodes(12);

/** Roots of the Legendre polynomial by Newton's method, from its three-term recurrence. */
function legendreNodes(count: number): [node: number, weight: number][] {
  return Array.from({ length: count }, (_, i) => {
    let x = Math.cos((Math.PI * (i + 0.75)) / (count + 0.5));
    let slope = 1;
    for (let step = 0; step < 8; step++) {
      let [previous, value] = [1, x];
      for (let n = 2; n <= count; n++) [previous, value] = [value, ((2 * n - 1) * x * value - (n - 1) * previous) / n];
      slope = (count * (previous - x * value)) / (1 - x * x);
      x -= value / slope;
    }
    return [x, 2 / ((1 - x * x) * slope * slope)];
  });
}
