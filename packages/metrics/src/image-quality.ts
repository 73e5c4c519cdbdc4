/** How close two images are, in float64. H, W = height and width. */
import type { Pixels } from '@tb/images';

/** 8-bit RGB, or any other numbers and any number of colour channels: `data` is [H, W, channels], row-major. */
export type ComparableImage = Omit<Pixels, 'data'> & { data: ArrayLike<number> };

const channelsOf = ({ width, height, data }: ComparableImage) => data.length / (width * height);

/**
 * Computes the peak signal-to-noise ratio in decibels: 10·log₁₀(range² / mean squared error).
 *
 * @param range - largest possible value: 255 for bytes (the default), often 1 for other numbers
 * @returns from 0 for images that differ by the whole range to Infinity for equal ones; NaN if a pixel is
 * @throws RangeError if the images differ in size or hold no pixels, or the range is not positive
 */
export function psnr(a: ComparableImage, b: ComparableImage, range = 255): number {
  checkInputs('psnr', a, b, range);
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] - b.data[i]) ** 2;
  return 10 * Math.log10((range * range * a.data.length) / sum);
}

const RADIUS = 5;
const WINDOW = gaussianWindow(RADIUS, 1.5);

/**
 * Computes the structural similarity (Wang et al. 2004): Gaussian window 11×11 with σ = 1.5, K₁ = 0.01, K₂ = 0.03, biased
 * variances, averaged over the positions that the window covers wholly and over the channels. (torchmetrics averages
 * a reflect-padded map instead, which differs by about 0.006.)
 *
 * @param range - largest possible value: 255 for bytes (the default), often 1 for other numbers
 * @returns a number from −1 to 1; 1 for equal images; NaN if a pixel is
 * @throws RangeError if the images differ in size or are smaller than 11×11, or the range is not positive
 */
export function ssim(a: ComparableImage, b: ComparableImage, range = 255): number {
  checkInputs('ssim', a, b, range);
  const { height, width } = a;
  const channels = channelsOf(a);
  if (Math.min(height, width) < WINDOW.length) {
    throw new RangeError(`ssim: images must be at least ${WINDOW.length}×${WINDOW.length}, got ${width}×${height}`);
  }
  let sum = 0;
  for (let channel = 0; channel < channels; channel++) {
    sum += planeSsim(plane(a, channel), plane(b, channel), height, width, range);
  }
  return sum / channels;
}

function planeSsim(x: Float64Array, y: Float64Array, height: number, width: number, range: number): number {
  const smooth = (values: Float64Array) => smoothValid(values, height, width);
  const product = (p: Float64Array, q: Float64Array) => p.map((value, i) => value * q[i]);
  const meanX = smooth(x);
  const meanY = smooth(y);
  const squareX = smooth(product(x, x));
  const squareY = smooth(product(y, y));
  const cross = smooth(product(x, y));
  const c1 = (0.01 * range) ** 2;
  const c2 = (0.03 * range) ** 2;
  let sum = 0;
  for (let i = 0; i < meanX.length; i++) {
    const mx = meanX[i];
    const my = meanY[i];
    const variances = squareX[i] - mx * mx + squareY[i] - my * my;
    const covariance = cross[i] - mx * my;
    sum += ((2 * mx * my + c1) * (2 * covariance + c2)) / ((mx * mx + my * my + c1) * (variances + c2));
  }
  return sum / meanX.length;
}

/** Applies a separable Gaussian filter where the complete window is inside the image: [H − 10, W − 10]. */
function smoothValid(values: Float64Array, height: number, width: number): Float64Array {
  const outWidth = width - 2 * RADIUS;
  const outHeight = height - 2 * RADIUS;
  const horizontal = new Float64Array(height * outWidth);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < outWidth; column++) {
      let sum = 0;
      for (let k = 0; k < WINDOW.length; k++) sum += WINDOW[k] * values[row * width + column + k];
      horizontal[row * outWidth + column] = sum;
    }
  }
  const result = new Float64Array(outHeight * outWidth);
  for (let row = 0; row < outHeight; row++) {
    for (let column = 0; column < outWidth; column++) {
      let sum = 0;
      for (let k = 0; k < WINDOW.length; k++) sum += WINDOW[k] * horizontal[(row + k) * outWidth + column];
      result[row * outWidth + column] = sum;
    }
  }
  return result;
}

function gaussianWindow(radius: number, deviation: number): Float64Array {
  const window = Float64Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * deviation ** 2)),
  );
  const total = window.reduce((a, b) => a + b, 0);
  return window.map((value) => value / total);
}

function plane(image: ComparableImage, channel: number): Float64Array {
  const channels = channelsOf(image);
  return Float64Array.from({ length: image.height * image.width }, (_, i) => image.data[i * channels + channel]);
}

function checkInputs(name: string, a: ComparableImage, b: ComparableImage, range: number): void {
  if (!(range > 0 && range < Infinity))
    throw new RangeError(`${name}: range must be positive and finite, got ${range}`);
  if (a.data.length === 0) throw new RangeError(`${name}: images must hold pixels, got none`);
  for (const image of [a, b]) {
    if (Number.isInteger(channelsOf(image))) continue;
    const { width, height, data } = image;
    throw new RangeError(
      `${name}: an image of ${width}×${height} must have as many values for each channel, got ${data.length} in all`,
    );
  }
  if (a.height !== b.height || a.width !== b.width || a.data.length !== b.data.length) {
    const size = (image: ComparableImage) => `${image.width}×${image.height}×${channelsOf(image)}`;
    throw new RangeError(`${name}: both images must have the same size, got ${size(a)} and ${size(b)}`);
  }
}
