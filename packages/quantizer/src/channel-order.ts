// The order in which the autoregressive head generates the channels: low spatial frequencies first (paper, Sec. 3.2).
// N = images, H = height, W = width, C = channels

import { assertArray } from './array-argument.js';
import { type FourierTransform, fourierTransform } from './fast-fourier-transform.js';

/** The shape of latents. */
export type Shape4D = readonly [images: number, height: number, width: number, channels: number];

/** Options of `lowFrequencyOrder` and `lowFrequencyShares`. */
export type LowFrequencyOptions = {
  /** Largest radius that counts as low, in cycles per position, itself included (default 0.25). */
  cutoff?: number;
};

/**
 * Computes the channel order (Sec. 3.2): channels by falling share of low-frequency energy, equal ones by their number.
 * Neither the paper nor its code defines the share; here it is that of `lowFrequencyShares`.
 *
 * @param latents - [N, H, W, C], flat
 * @returns `order[position] = channel`
 * @throws RangeError if the shape does not fit or a value is not finite
 */
export function lowFrequencyOrder(
  latents: ArrayLike<number>,
  shape: Shape4D,
  options: LowFrequencyOptions = {},
): number[] {
  const shares = lowFrequencyShares(latents, shape, options);
  return [...shares.keys()].sort((a, b) => shares[b] - shares[a] || a - b);
}

/**
 * Computes each channel's share of low-frequency energy [C], in 0..1: the mean over the images of (power at radius ≤ cutoff) /
 * (total power) of the two-dimensional Fourier transform, the mean value included; 0 for an image that is all zero.
 *
 * @param latents - [N, H, W, C], flat
 * @throws RangeError if the shape does not fit or a value is not finite
 */
export function lowFrequencyShares(
  latents: ArrayLike<number>,
  [images, height, width, channels]: Shape4D,
  { cutoff = 0.25 }: LowFrequencyOptions = {},
): Float64Array {
  checkShape(latents, [images, height, width, channels]);
  if (!(typeof cutoff === 'number' && cutoff >= 0))
    throw new RangeError(`lowFrequencyShares: cutoff must not be negative, in cycles per position, got ${cutoff}`);
  const positions = height * width;
  const alongRows = fourierTransform(width);
  const alongColumns = height === width ? alongRows : fourierTransform(height);
  const isLow = lowFrequencies(height, width, cutoff);
  const shares = new Float64Array(channels);
  const real = new Float64Array(positions);
  const imaginary = new Float64Array(positions);
  for (let image = 0; image < images; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const start = image * positions * channels + channel;
      for (let i = 0; i < positions; i++) real[i] = latents[start + i * channels];
      imaginary.fill(0);
      transformLines(alongRows, real, imaginary, height, width, 1);
      transformLines(alongColumns, real, imaginary, width, 1, width);
      let low = 0;
      let total = 0;
      for (let i = 0; i < positions; i++) {
        const power = real[i] ** 2 + imaginary[i] ** 2;
        total += power;
        if (isLow[i]) low += power;
      }
      if (!Number.isFinite(total))
        throw new RangeError(
          `lowFrequencyShares: latents must be finite and of finite energy, got image ${image}, channel ${channel}`,
        );
      if (total > 0) shares[channel] += low / total / images;
    }
  }
  return shares;
}

/**
 * Computes the inverse permutation: `inverse[order[i]] = i`. Reordering channels by `order` and then by `invertOrder(order)`
 * changes nothing.
 *
 * @throws RangeError if `order` is not a permutation of 0 … length − 1
 */
export function invertOrder(order: ArrayLike<number>): number[] {
  const inverse: number[] = new Array(order.length).fill(-1);
  for (let i = 0; i < order.length; i++) {
    if (inverse[order[i]] !== -1)
      throw new RangeError(
        `invertOrder: order must hold each of 0 to ${order.length - 1} once, got ${order[i]} at position ${i}`,
      );
    inverse[order[i]] = i;
  }
  return inverse;
}

/** Transforms `count` lines of a plane, each a walk of `stride` from a multiple of `spacing`. */
function transformLines(
  transform: FourierTransform,
  real: Float64Array,
  imaginary: Float64Array,
  count: number,
  spacing: number,
  stride: number,
): void {
  const length = real.length / count;
  const lineReal = new Float64Array(length);
  const lineImaginary = new Float64Array(length);
  for (let line = 0; line < count; line++) {
    for (let i = 0; i < length; i++) {
      lineReal[i] = real[line * spacing + i * stride];
      lineImaginary[i] = imaginary[line * spacing + i * stride];
    }
    transform(lineReal, lineImaginary);
    for (let i = 0; i < length; i++) {
      real[line * spacing + i * stride] = lineReal[i];
      imaginary[line * spacing + i * stride] = lineImaginary[i];
    }
  }
}

/** Which bins of an H × W transform lie within the cutoff radius [H, W]. */
function lowFrequencies(height: number, width: number, cutoff: number): boolean[] {
  const frequency = (bin: number, length: number) => (bin < length / 2 ? bin : bin - length) * (1 / length);
  return Array.from({ length: height * width }, (_, i) => {
    const vertical = frequency(Math.floor(i / width), height);
    const horizontal = frequency(i % width, width);
    return Math.sqrt(vertical * vertical + horizontal * horizontal) <= cutoff;
  });
}

function checkShape(latents: ArrayLike<number>, shape: Shape4D): void {
  assertArray('lowFrequencyShares', 'latents', latents);
  if (shape.length !== 4 || !shape.every((size) => Number.isInteger(size) && size > 0))
    throw new RangeError(`lowFrequencyShares: shape must be four positive integers [N, H, W, C], got [${shape}]`);
  const size = shape.reduce((product, length) => product * length, 1);
  if (latents.length !== size)
    throw new RangeError(
      `lowFrequencyShares: latents must have ${size} values for shape [${shape}], got ${latents.length}`,
    );
}
