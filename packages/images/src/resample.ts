// Pillow's resampling, with which the reference made its crops. One axis is resized after the other, and the result
// between them is rounded to 8 bits. Filters widen when an image shrinks, so that nothing aliases.
import type { Pixels } from './pixels.js';

type Filter = { support: number; weight: (distance: number) => number };

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
  const narrow = width === image.width ? image : resampleRows(image, width, filter);
  return height === image.height ? narrow : resampleColumns(narrow, height, filter);
}

type Taps = { start: Int32Array; weights: Float64Array[] };

/** For each output position: the first input position that counts, and the normalized weights from there on. */
function tapsOf(inputSize: number, outputSize: number, filter: Filter): Taps {
  const scale = inputSize / outputSize;
  const stretch = Math.max(scale, 1);
  const reach = filter.support * stretch;
  const start = new Int32Array(outputSize);
  const weights: Float64Array[] = [];
  for (let i = 0; i < outputSize; i++) {
    const centre = (i + 0.5) * scale;
    start[i] = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(inputSize, Math.floor(centre + reach + 0.5));
    const row = Float64Array.from({ length: end - start[i] }, (_, k) =>
      filter.weight((start[i] + k - centre + 0.5) / stretch),
    );
    const sum = row.reduce((total, weight) => total + weight, 0);
    weights.push(row.map((weight) => weight / sum));
  }
  return { start, weights };
}

const toByte = (value: number) => (value <= 0 ? 0 : value >= 255 ? 255 : Math.floor(value + 0.5));

function resampleRows({ width: inputWidth, height, data }: Pixels, width: number, filter: Filter): Pixels {
  const { start, weights } = tapsOf(inputWidth, width, filter);
  const output = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const row = weights[x];
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let k = 0, at = (y * inputWidth + start[x]) * 3; k < row.length; k++, at += 3) {
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

function resampleColumns({ width, height: inputHeight, data }: Pixels, height: number, filter: Filter): Pixels {
  const { start, weights } = tapsOf(inputHeight, height, filter);
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
