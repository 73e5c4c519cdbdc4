// Pillow's resampling, with which the reference made its crops. One axis is resized after the other, and the result
// between them is rounded to 8 bits. Filters widen when an image shrinks, so that nothing aliases.
import { cropPixels, type Pixels } from './pixels.js';

export type Filter = { support: number; weight: (distance: number) => number };

/** Every output pixel is the mean of the input area below it. */
export const box: Filter = { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };

/** Keys' cubic convolution with a = -1/2. */
export const bicubic: Filter = {
  support: 2,
  weight: (signed) => {
    const x = Math.abs(signed);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
  },
};

/** Resizes an image. */
export function resample(image: Pixels, width: number, height: number, filter: Filter): Pixels {
  const complete = { pixels: image, left: 0, top: 0, width: image.width, height: image.height };
  return resamplePart(complete, { width, height }, filter, { left: 0, top: 0, width, height }).pixels;
}

export type Size = { width: number; height: number };
export type Rectangle = Size & { left: number; top: number };

/** An image of `width` × `height` of which only a part is in memory: the one that begins at (left, top). */
export type PartialImage = Rectangle & { pixels: Pixels };

/** The part of an image on which a part of the resized image depends. */
export function sourceOf(part: Rectangle, input: Size, output: Size, filter: Filter): Rectangle {
  const [left] = tapRange(part.left, input.width, output.width, filter);
  const [, right] = tapRange(part.left + part.width - 1, input.width, output.width, filter);
  const [top] = tapRange(part.top, input.height, output.height, filter);
  const [, bottom] = tapRange(part.top + part.height - 1, input.height, output.height, filter);
  return { left, top, width: right - left, height: bottom - top };
}

/**
 * Resizes an image to `output`, of which only `part` is made. Its bytes are those that `resample` gives there.
 *
 * @param image - holds at least the part that `sourceOf` gives
 */
export function resamplePart(image: PartialImage, output: Size, filter: Filter, part: Rectangle): PartialImage {
  const { pixels, left, top } = image;
  if (image.width === output.width && image.height === output.height) {
    return {
      ...part,
      ...output,
      pixels: cropPixels(pixels, part.left - left, part.top - top, part.width, part.height),
    };
  }
  const source = sourceOf(part, image, output, filter);
  const columns = tapsOf(part.left, part.width, image.width, output.width, filter, left);
  const rows = tapsOf(part.top, part.height, image.height, output.height, filter, source.top);
  const narrow = resampleRows(pixels, columns, source.top - top, source.height);
  return { ...part, ...output, pixels: resampleColumns(narrow, rows) };
}

/** The input positions that output position `index` depends on: from the first to before the last. */
function tapRange(index: number, inputSize: number, outputSize: number, { support }: Filter): [number, number] {
  if (inputSize === outputSize) return [index, index + 1];
  const scale = inputSize / outputSize;
  const reach = support * Math.max(scale, 1);
  const centre = (index + 0.5) * scale;
  return [Math.max(0, Math.floor(centre - reach + 0.5)), Math.min(inputSize, Math.floor(centre + reach + 0.5))];
}

/** For each output position: the first input position that counts, and the weights from there on, which add up to one. */
type Taps = { start: Int32Array; weights: Float64Array[] };

/**
 * The taps of `count` output positions from `first` on.
 *
 * @param origin - the input position that is the first one in memory
 */
function tapsOf(
  first: number,
  count: number,
  inputSize: number,
  outputSize: number,
  filter: Filter,
  origin: number,
): Taps {
  const start = new Int32Array(count);
  const weights: Float64Array[] = [];
  const scale = inputSize / outputSize;
  const stretch = Math.max(scale, 1);
  for (let i = 0; i < count; i++) {
    const centre = (first + i + 0.5) * scale;
    const [begin, end] = tapRange(first + i, inputSize, outputSize, filter);
    start[i] = begin - origin;
    const row = Float64Array.from({ length: end - begin }, (_, k) =>
      filter.weight((begin + k - centre + 0.5) / stretch),
    );
    const sum = row.reduce((total, weight) => total + weight, 0);
    weights.push(row.map((weight) => weight / sum));
  }
  return { start, weights };
}

const toByte = (value: number) => (value <= 0 ? 0 : value >= 255 ? 255 : Math.floor(value + 0.5));

/** Resizes `height` rows of an image, from `firstRow` on, to the width that the taps make. */
function resampleRows(image: Pixels, { start, weights }: Taps, firstRow: number, height: number): Pixels {
  const { width: inputWidth, data } = image;
  const width = start.length;
  const output = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const row = weights[x];
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let k = 0, at = ((firstRow + y) * inputWidth + start[x]) * 3; k < row.length; k++, at += 3) {
        red += row[k] * data[at];
        green += row[k] * data[at + 1];
        blue += row[k] * data[at + 2];
      }
      const to = (y * width + x) * 3;
      output[to] = toByte(red);
      output[to + 1] = toByte(green);
      output[to + 2] = toByte(blue);
    }
  }
  return { width, height, data: output };
}

/** Resizes the columns of an image to the height that the taps make. */
function resampleColumns({ width, data }: Pixels, { start, weights }: Taps): Pixels {
  const height = start.length;
  const rowLength = width * 3;
  const output = new Uint8Array(height * rowLength);
  const sum = new Float64Array(rowLength);
  for (let y = 0; y < height; y++) {
    sum.fill(0);
    for (let k = 0; k < weights[y].length; k++) {
      const weight = weights[y][k];
      const from = (start[y] + k) * rowLength;
      for (let i = 0; i < rowLength; i++) sum[i] += weight * data[from + i];
    }
    for (let i = 0; i < rowLength; i++) output[y * rowLength + i] = toByte(sum[i]);
  }
  return { width, height, data: output };
}
