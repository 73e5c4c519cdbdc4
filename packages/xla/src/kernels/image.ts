import type { Node } from '../graph/node.js';
import { dotGeneral } from '../hlo/contract.js';
import { denseConstant } from '../hlo/literal.js';
import { reduce } from '../hlo/reduce.js';
import { broadcastInDim, reshape, transpose } from '../hlo/shape.js';
import type { KernelTable } from './registry.js';
import { float } from './unary.js';

// N = images, C = channels

type Resize = { alignCorners: boolean; halfPixelCenters: boolean };

/** Input coordinate of output pixel i, before rounding or interpolation. */
function coordinate(
  i: number,
  from: number,
  to: number,
  { alignCorners, halfPixelCenters }: Resize,
  isBilinear: boolean,
) {
  const scale = alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;
  if (!halfPixelCenters) return i * scale;
  return isBilinear ? (i + 0.5) * scale - 0.5 : (i + 0.5) * scale;
}

/** How much output pixel i takes of each input pixel: [to, from], in rows of two weights at most. */
function weights(from: number, to: number, options: Resize, isBilinear: boolean): Float32Array {
  const matrix = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const x = coordinate(i, from, to, options, isBilinear);
    if (!isBilinear) {
      const nearest = options.alignCorners ? Math.round(x) : Math.floor(x);
      matrix[i * from + Math.min(from - 1, Math.max(0, nearest))] = 1;
    } else {
      const inside = Math.min(from - 1, Math.max(0, x));
      const low = Math.floor(inside);
      matrix[i * from + low] += 1 - (inside - low);
      matrix[i * from + Math.min(from - 1, low + 1)] += inside - low;
    }
  }
  return matrix;
}

/** A product with a constant matrix along one axis, which comes last. */
function alongAxis(x: Node, matrix: Node, axis: number, contractedAxis: 0 | 1): Node {
  const axes = { lhsBatch: [], rhsBatch: [], lhsContracting: [axis], rhsContracting: [contractedAxis] };
  return dotGeneral(x, matrix, axes, 'f32', 'HIGHEST');
}

/** Resampling is linear: one small matrix for each axis, whose transpose gives the gradient. */
function resample(
  x: Node,
  shape: [number, number],
  size: [number, number],
  options: Resize,
  isBilinear: boolean,
  isGradient: boolean,
): Node {
  const [rows, columns] = shape.map((from, i) =>
    denseConstant(weights(from, size[i], options, isBilinear), { type: 'f32', shape: [size[i], from] }),
  );
  const contracted = isGradient ? 0 : 1;
  const tall = alongAxis(float(x), rows, 1, contracted); // [N, width of the input, C, height of the output]
  const full = alongAxis(tall, columns, 1, contracted); // [N, C, height, width of the output]
  return transpose(full, [0, 2, 3, 1]);
}

/** The factors of an enlargement by whole numbers that repeats pixels. */
function repeats([height, width]: number[], [tall, wide]: number[], { alignCorners }: Resize): [number, number] | null {
  const isWhole = tall % height === 0 && wide % width === 0 && !alignCorners;
  return isWhole ? [tall / height, wide / width] : null;
}

function resizeNearest(x: Node, size: [number, number], options: Resize): Node {
  const [n, h, w, c] = x.type.shape;
  const factors = repeats([h, w], size, options);
  if (!factors) return resample(x, [h, w], size, options, false, false);
  const spread = broadcastInDim(x, [n, h, factors[0], w, factors[1], c], [0, 1, 3, 5]);
  return reshape(spread, [n, ...size, c]);
}

function resizeNearestGradient(dy: Node, image: Node, options: Resize): Node {
  const [n, h, w, c] = image.type.shape;
  const [, p, q] = dy.type.shape;
  const factors = repeats([h, w], [p, q], options);
  if (!factors) return resample(dy, [h, w], [p, q], options, false, true);
  return reduce(reshape(float(dy), [n, h, factors[0], w, factors[1], c]), 'add', [2, 4]);
}

const spatial = (x: Node): [number, number] => [x.type.shape[1], x.type.shape[2]];

export const imageKernels: KernelTable = {
  ResizeBilinear: ({ images }, { size, ...options }) =>
    resample(images.node, spatial(images.node), size, options, true, false),
  ResizeBilinearGrad: ({ images, dy }, options) =>
    resample(dy.node, spatial(images.node), spatial(dy.node), options, true, true),
  ResizeNearestNeighbor: ({ images }, { size, ...options }) => resizeNearest(images.node, size, options),
  ResizeNearestNeighborGrad: ({ images, dy }, options) => resizeNearestGradient(dy.node, images.node, options),
};
