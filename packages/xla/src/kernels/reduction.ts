import * as tf from '@tensorflow/tfjs-core';
import type { Node } from '../graph/node.js';
import * as ew from '../hlo/elementwise.js';
import { constant, iota } from '../hlo/literal.js';
import { argReduce, type Reduction, reduce, reduceWindow, sort, topK } from '../hlo/reduce.js';
import { broadcastTo, convert, pad, reshape, reverse, sizeOf, sliceAxis } from '../hlo/shape.js';
import { productType } from '../precision.js';
import type { Kernel, KernelTable } from './registry.js';
import { float } from './unary.js';

type ReductionAttributes = { axis?: number | number[]; keepDims?: boolean };

/** Combines along axes; all of them when none is named. */
function along(x: Node, kind: Reduction, { axis, keepDims }: ReductionAttributes): Node {
  const { shape } = x.type;
  const axes = tf.util.parseAxisParam(axis ?? shape.map((_, i) => i), [...shape]);
  const kept = shape.map((size, i) => (axes.includes(i) ? 1 : size));
  return keepDims ? reshape(reduce(x, kind, axes), kept) : reduce(x, kind, axes);
}

/** Sums are taken and given in float32: half precision would drop small terms. */
const summand = (x: Node): Node => (x.type.type === 'i1' ? convert(x, 'i32') : x.type.type === 'bf16' ? float(x) : x);

const reduction =
  (kind: Reduction, prepare: (x: Node) => Node = (x) => x): Kernel =>
  ({ x }, attributes) =>
    along(prepare(x.node), kind, attributes);

function mean(x: Node, attributes: ReductionAttributes): Node {
  const sum = along(float(x), 'add', attributes);
  const count = sizeOf(x.type.shape) / sizeOf(sum.type.shape);
  return ew.multiply(sum, ew.like(sum, 1 / count));
}

/** eˣ over its sum along one axis, in float32, and ln of that sum. */
function softmaxParts(logits: Node, axis: number) {
  const x = float(logits);
  const at = { axis, keepDims: true };
  const highest = along(x, 'maximum', at);
  const shifted = ew.subtract(x, broadcastTo(highest, x.type.shape));
  const weights = ew.exponential(shifted);
  return { shifted, weights, total: along(weights, 'add', at) };
}

export function softmax(logits: Node, axis: number): Node {
  const { weights, total } = softmaxParts(logits, axis);
  return ew.divide(weights, broadcastTo(total, weights.type.shape));
}

/**
 * y · (dy − Σ y · dy), in float32.
 */
function softmaxGradient(dy: Node, y: Node, axis: number): Node {
  const kept = float(y);
  const slope = float(dy);
  const total = along(ew.multiply(kept, slope), 'add', { axis, keepDims: true });
  return ew.multiply(kept, ew.subtract(slope, broadcastTo(total, slope.type.shape)));
}

function logSoftmax(logits: Node, axis: number): Node {
  const { shifted, total } = softmaxParts(logits, axis);
  return ew.subtract(shifted, broadcastTo(ew.unary('log', total), shifted.type.shape));
}

type Cumulative = { axis: number; exclusive: boolean; reverse: boolean };

/** Running sum or product: a window that reaches back to the start of the axis. */
function cumulate(x: Node, kind: 'add' | 'multiply', { axis, exclusive, reverse: isBackward }: Cumulative): Node {
  const { shape } = x.type;
  if (shape.length === 0 || sizeOf(shape) === 0) return x;
  const [at] = tf.util.parseAxisParam(axis, [...shape]);
  const source = isBackward ? reverse(x, [at]) : x;
  const length = shape[at];
  const on = (value: number, other: number) => shape.map((_, i) => (i === at ? value : other));
  const ones = on(1, 1);
  let running = reduceWindow(source, kind, {
    size: on(length, 1),
    strides: ones,
    low: on(length - 1, 0),
    high: on(0, 0),
  });
  if (exclusive) {
    const start = constant(kind === 'add' ? 0 : 1, x.type.type);
    running = sliceAxis(pad(running, start, on(1, 0), on(0, 0)), at, 0, length);
  }
  return isBackward ? reverse(running, [at]) : running;
}

function largest(x: Node, k: number): [Node, Node] {
  const last = x.type.shape.length - 1;
  if (x.type.type !== 'i32' && k * 8 < x.type.shape[last]) return topK(float(x), k);
  const sorted = sort([x, iota('i32', x.type.shape, last)], last, 'GT');
  return [sliceAxis(sorted[0], last, 0, k), sliceAxis(sorted[1], last, 0, k)];
}

/** How many elements of each sorted row lie before a value: below it, or for `isUpper` not above it. */
function searchSorted(sequence: Node, values: Node, isUpper: boolean): Node {
  const [rows, length] = sequence.type.shape;
  const count = values.type.shape[1];
  const shape = [rows, count, length];
  const elements = broadcastTo(reshape(sequence, [rows, 1, length]), shape);
  const bounds = broadcastTo(reshape(values, [rows, count, 1]), shape);
  return reduce(convert(ew.compare(isUpper ? 'LE' : 'LT', elements, bounds), 'i32'), 'add', [2]);
}

const arg =
  (direction: 'GT' | 'LT'): Kernel =>
  ({ x }, { axis }) => {
    const [at] = tf.util.parseAxisParam(axis, [...x.node.type.shape]);
    return argReduce(x.node.type.type === 'i1' ? convert(x.node, 'i32') : x.node, at, direction);
  };

export const reductionKernels: KernelTable = {
  All: reduction('and'),
  Any: reduction('or'),
  ArgMax: arg('GT'),
  ArgMin: arg('LT'),
  Cumprod: ({ x }, attributes) => cumulate(summand(x.node), 'multiply', attributes),
  Cumsum: ({ x }, attributes) => cumulate(summand(x.node), 'add', attributes),
  LogSoftmax: ({ logits }, { axis }) => logSoftmax(logits.node, axis),
  LowerBound: ({ sortedSequence, values }) => searchSorted(sortedSequence.node, values.node, false),
  Max: ({ x }, { reductionIndices, axis, keepDims }) =>
    along(x.node, 'maximum', { axis: axis ?? reductionIndices, keepDims }),
  Mean: ({ x }, attributes) => mean(x.node, attributes),
  Min: reduction('minimum'),
  Prod: reduction('multiply', summand),
  SearchSorted: ({ sortedSequence, values }, { side }) =>
    searchSorted(sortedSequence.node, values.node, side === 'right'),
  // Probabilities are for a product to read, and for the gradient: in bf16 programs no float32 ones are stored.
  Softmax: ({ logits }, { dim }) => convert(softmax(logits.node, dim), productType()),
  SoftmaxGrad: ({ dy, y }, { dim }) => softmaxGradient(dy.node, y.node, dim),
  Sum: reduction('add', summand),
  TopK: ({ x }, { k }) => largest(x.node, k),
  UpperBound: ({ sortedSequence, values }) => searchSorted(sortedSequence.node, values.node, true),
};
