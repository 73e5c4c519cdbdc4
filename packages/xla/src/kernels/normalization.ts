import type { Node } from '../graph/node.js';
import * as ew from '../hlo/elementwise.js';
import { reduceWindow } from '../hlo/reduce.js';
import { broadcastTo } from '../hlo/shape.js';
import type { KernelTable } from './registry.js';
import { float } from './unary.js';

type BatchNorm = { x: Node; mean: Node; variance: Node; scale?: Node; offset?: Node; epsilon: number };

function batchNorm({ x, mean, variance, scale, offset, epsilon }: BatchNorm): Node {
  const full = (node: Node) => broadcastTo(float(node), x.type.shape);
  const spread = ew.unary('rsqrt', ew.add(float(variance), ew.like(float(variance), epsilon)));
  let y = ew.multiply(ew.subtract(float(x), full(mean)), full(spread));
  if (scale) y = ew.multiply(y, full(scale));
  return offset ? ew.add(y, full(offset)) : y;
}

type LocalResponse = { depthRadius: number; bias: number; alpha: number; beta: number };

/** Sums over the neighbouring channels. */
function acrossChannels(x: Node, radius: number): Node {
  const last = (value: number, other: number) =>
    x.type.shape.map((_, i, { length }) => (i === length - 1 ? value : other));
  return reduceWindow(x, 'add', {
    size: last(2 * radius + 1, 1),
    strides: last(1, 1),
    low: last(radius, 0),
    high: last(radius, 0),
  });
}

/** bias + alpha · the neighbours' sum of squares, and a power of it. */
function denominator(x: Node, { depthRadius, bias, alpha }: LocalResponse): Node {
  const squares = acrossChannels(ew.multiply(x, x), depthRadius);
  return ew.add(ew.multiply(squares, ew.like(squares, alpha)), ew.like(squares, bias));
}

const power = (x: Node, exponent: number): Node => ew.binary('power', x, ew.like(x, exponent));

/** dy · N^−β − 2αβ · x · Σ over the neighbours of dy · y / N. */
function localResponseGradient(x: Node, y: Node, dy: Node, options: LocalResponse): Node {
  const n = denominator(x, options);
  const direct = ew.multiply(dy, power(n, -options.beta));
  const shared = acrossChannels(ew.divide(ew.multiply(dy, y), n), options.depthRadius);
  const factor = ew.like(x, 2 * options.alpha * options.beta);
  return ew.subtract(direct, ew.multiply(ew.multiply(x, factor), shared));
}

export const normalizationKernels: KernelTable = {
  FusedBatchNorm: ({ x, mean, variance, scale, offset }, { varianceEpsilon }) =>
    batchNorm({
      x: x.node,
      mean: mean.node,
      variance: variance.node,
      scale: scale?.node,
      offset: offset?.node,
      epsilon: varianceEpsilon ?? 0.001,
    }),
  LRN: ({ x }, options) => ew.multiply(float(x.node), power(denominator(float(x.node), options), -options.beta)),
  LRNGrad: ({ x, y, dy }, options) => localResponseGradient(float(x.node), float(y.node), float(dy.node), options),
};
