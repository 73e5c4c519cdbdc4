import * as tf from '@tensorflow/tfjs-core';
import type { Node } from '../graph/node.js';
import * as ew from '../hlo/elementwise.js';
import { constant, iota } from '../hlo/literal.js';
import {
  broadcastInDim,
  broadcastTo,
  concatenate,
  convert,
  pad,
  reshape,
  reverse,
  sameShape,
  sizeOf,
  slice,
  sliceAxis,
  transpose,
} from '../hlo/shape.js';
import { alignStorage } from '../precision.js';
import { defineView, elementTypeOf, type Inputs, type KernelTable } from './registry.js';

/** Replaces the one −1 by what is left. */
function inferShape(shape: readonly number[], size: number): number[] {
  const known = shape.filter((length) => length !== -1).reduce((product, length) => product * length, 1);
  return shape.map((length) => (length === -1 ? size / known : length));
}

/** Booleans, integers and floats of both storages may meet in a list: floats win. */
function nodesOf(inputs: Inputs): Node[] {
  return alignStorage(Object.values(inputs).map(({ node }) => node));
}

/** Repeats each axis; an axis of size 1 is stretched, which costs nothing. */
function tile(x: Node, repeats: readonly number[]): Node {
  const { shape } = x.type;
  const target = shape.map((size, axis) => size * repeats[axis]);
  if (shape.every((size, axis) => size === 1 || repeats[axis] === 1)) return broadcastTo(x, target);
  const spread = broadcastInDim(
    x,
    shape.flatMap((size, axis) => [repeats[axis], size]),
    shape.map((_, axis) => 2 * axis + 1),
  );
  return reshape(spread, target);
}

/** Padding that mirrors the edge: `offset` 1 leaves the edge itself out (reflect), 0 repeats it (symmetric). */
function mirrorPad(x: Node, paddings: [number, number][], offset: number): Node {
  return paddings.reduce((padded, [low, high], axis) => {
    const size = x.type.shape[axis];
    const flipped = (from: number, to: number) => reverse(sliceAxis(padded, axis, from, to), [axis]);
    const parts = [padded];
    if (low > 0) parts.unshift(flipped(offset, offset + low));
    if (high > 0) parts.push(flipped(size - offset - high, size - offset));
    return concatenate(parts, axis);
  }, x);
}

/** Blocks of the spatial axes go to the batch axis. */
function spaceToBatch(x: Node, blockShape: number[], paddings: number[][]): Node {
  const { shape } = x.type;
  const low = shape.map((_, axis) => paddings[axis - 1]?.[0] ?? 0);
  const high = shape.map((_, axis) => paddings[axis - 1]?.[1] ?? 0);
  const padded = pad(x, constant(0, x.type.type), low, high);
  const split = [padded.type.shape[0]];
  for (const [i, block] of blockShape.entries()) split.push(padded.type.shape[i + 1] / block, block);
  const rest = padded.type.shape.slice(blockShape.length + 1);
  const count = blockShape.length;
  const permutation = [
    ...blockShape.map((_, i) => 2 * i + 2),
    0,
    ...blockShape.map((_, i) => 2 * i + 1),
    ...rest.map((_, i) => 2 * count + 1 + i),
  ];
  const moved = transpose(reshape(padded, [...split, ...rest]), permutation);
  const spatial = blockShape.map((_, i) => split[2 * i + 1]);
  return reshape(moved, [split[0] * sizeOf(blockShape), ...spatial, ...rest]);
}

/** The inverse of `spaceToBatch`. */
function batchToSpace(x: Node, blockShape: number[], crops: number[][]): Node {
  const { shape } = x.type;
  const count = blockShape.length;
  const batch = shape[0] / sizeOf(blockShape);
  const spatial = shape.slice(1, count + 1);
  const rest = shape.slice(count + 1);
  const permutation = [
    count,
    ...blockShape.flatMap((_, i) => [count + 1 + i, i]),
    ...rest.map((_, i) => 2 * count + 1 + i),
  ];
  const moved = transpose(reshape(x, [...blockShape, batch, ...spatial, ...rest]), permutation);
  const full = reshape(moved, [batch, ...spatial.map((size, i) => size * blockShape[i]), ...rest]);
  const crop = (axis: number, end: 0 | 1) => crops[axis - 1]?.[end] ?? 0;
  return slice(
    full,
    full.type.shape.map((_, axis) => crop(axis, 0)),
    full.type.shape.map((size, axis) => size - crop(axis, 1)),
  );
}

function depthToSpace(x: Node, block: number, dataFormat: string): Node {
  const isLast = dataFormat === 'NHWC';
  const [n, h, w, c] = isLast ? x.type.shape : transpose(x, [0, 2, 3, 1]).type.shape;
  const last = isLast ? x : transpose(x, [0, 2, 3, 1]);
  const depth = c / (block * block);
  const blocks = transpose(reshape(last, [n, h, w, block, block, depth]), [0, 1, 3, 2, 4, 5]);
  const result = reshape(blocks, [n, h * block, w * block, depth]);
  return isLast ? result : transpose(result, [0, 3, 1, 2]);
}

/** Kernels whose result is their input in another shape. */
export function defineViews(): void {
  defineView('Identity', ({ shape }) => shape);
  defineView('Reshape', (x, { shape }: { shape: number[] }) => inferShape(shape, sizeOf(x.shape)));
  defineView('ExpandDims', (input, { dim }: { dim: number }) => {
    const shape = [...input.shape];
    const isWithin = -(shape.length + 1) <= dim && dim <= shape.length;
    tf.util.assert(isWithin, () => `expandDims: axis must be within the rank ${shape.length}, got ${dim}`);
    shape.splice(dim < 0 ? dim + shape.length + 1 : dim, 0, 1);
    return shape;
  });
}

export const shapeKernels: KernelTable = {
  BatchToSpaceND: ({ x }, { blockShape, crops }) => batchToSpace(x.node, blockShape, crops),
  BroadcastTo: ({ x }, { shape }) => broadcastTo(x.node, shape),
  Concat: (inputs, { axis }) => {
    const nodes = nodesOf(inputs);
    const at = axis < 0 ? axis + nodes[0].type.shape.length : axis;
    tf.backend_util.assertParamsConsistent(
      nodes.map(({ type }) => [...type.shape]),
      at,
    );
    const filled = nodes.filter((node) => sizeOf(node.type.shape) > 0);
    return concatenate(filled.length > 0 ? filled : nodes, at);
  },
  DepthToSpace: ({ x }, { blockSize, dataFormat }) => depthToSpace(x.node, blockSize, dataFormat),
  Diag: ({ x }) => {
    const { type, shape } = x.node.type;
    const size = sizeOf(shape);
    const column = broadcastInDim(reshape(x.node, [size]), [size, size], [0]);
    const isDiagonal = ew.compare('EQ', iota('i32', [size, size], 0), iota('i32', [size, size], 1));
    return reshape(ew.select(isDiagonal, column, constant(0, type, [size, size])), [...shape, ...shape]);
  },
  Fill: (_, { shape, value, dtype }) => constant(Number(value), elementTypeOf(dtype ?? 'float32'), shape),
  FlipLeftRight: ({ image }) => reverse(image.node, [2]),
  LinSpace: (_, { start, stop, num }) => {
    if (num === 1) return constant(start, 'f32', [1]);
    const steps = convert(iota('i32', [num], 0), 'f32');
    return ew.add(ew.multiply(steps, ew.like(steps, (stop - start) / (num - 1))), ew.like(steps, start));
  },
  MirrorPad: ({ x }, { paddings, mode }) => mirrorPad(x.node, paddings, mode === 'reflect' ? 1 : 0),
  OneHot: ({ indices }, { depth, onValue, offValue, dtype = 'float32' }) => {
    const shape = [...indices.node.type.shape, depth];
    const places = broadcastInDim(
      convert(indices.node, 'i32'),
      shape,
      indices.node.type.shape.map((_, i) => i),
    );
    const isOn = ew.compare('EQ', places, iota('i32', shape, shape.length - 1));
    const type = elementTypeOf(dtype);
    return ew.select(isOn, constant(onValue, type, shape), constant(offValue, type, shape));
  },
  Pack: (inputs, { axis }) => {
    const nodes = nodesOf(inputs);
    const { shape: first } = nodes[0].type;
    const isAlike = Object.values(inputs).every(
      ({ node, dtype }) => sameShape(node.type.shape, first) && dtype === inputs[0].dtype,
    );
    tf.util.assert(isAlike, () => 'stack: All tensors passed to stack must have matching shapes and dtypes');
    const rank = first.length;
    const at = axis < 0 ? axis + rank + 1 : axis;
    const shape = [...nodes[0].type.shape];
    shape.splice(at, 0, 1);
    return concatenate(
      nodes.map((node) => reshape(node, shape)),
      at,
    );
  },
  PadV2: ({ x }, { paddings, constantValue }) =>
    pad(
      x.node,
      constant(constantValue, x.node.type.type),
      paddings.map(([low]: number[]) => low),
      paddings.map(([, high]: number[]) => high),
    ),
  Range: (_, { start, stop, step, dtype = 'float32' }) => {
    // TensorFlow.js counts down by default when the end lies below.
    const stride = stop < start && step === 1 ? -1 : step;
    const isEmpty = start === stop || stop > start !== stride > 0;
    const count = isEmpty ? 0 : Math.ceil(Math.abs((stop - start) / stride));
    const type = elementTypeOf(dtype);
    const steps = convert(iota('i32', [count], 0), type);
    return ew.add(ew.multiply(steps, ew.like(steps, stride)), ew.like(steps, start));
  },
  Reverse: ({ x }, { dims }) => {
    const rank = x.node.type.shape.length;
    return rank === 0 ? x.node : reverse(x.node, tf.util.parseAxisParam(dims, [...x.node.type.shape]));
  },
  Slice: ({ x }, { begin, size }) => {
    const [start, lengths] = tf.slice_util.parseSliceParams(shaped(x.node), begin, size);
    tf.slice_util.assertParamsValid(shaped(x.node), start, lengths);
    return slice(
      x.node,
      start,
      start.map((from, axis) => from + lengths[axis]),
    );
  },
  SpaceToBatchND: ({ x }, { blockShape, paddings }) => spaceToBatch(x.node, blockShape, paddings),
  SplitV: ({ x }, { numOrSizeSplits, axis }) => {
    const [at] = tf.util.parseAxisParam(axis, [...x.node.type.shape]);
    const sizes = tf.backend_util.prepareSplitSize(shaped(x.node), numOrSizeSplits, at);
    let from = 0;
    return sizes.map((size) => {
      from += size;
      return sliceAxis(x.node, at, from - size, from);
    });
  },
  StridedSlice: ({ x }, attributes) => stridedSlice(x.node, attributes),
  Tile: ({ x }, { reps }) => tile(x.node, reps),
  Transpose: ({ x }, { perm }) => transpose(x.node, perm),
  Unpack: ({ value }, { axis }) => {
    const { shape } = value.node.type;
    const at = axis < 0 ? axis + shape.length : axis;
    const kept = shape.filter((_, i) => i !== at);
    return Array.from({ length: shape[at] }, (_, i) => reshape(sliceAxis(value.node, at, i, i + 1), kept));
  },
};

/** What the helpers of TensorFlow.js read of a tensor. */
function shaped(x: Node): tf.Tensor {
  return { shape: [...x.type.shape], rank: x.type.shape.length } as tf.Tensor;
}

type StridedSlice = {
  begin: number[];
  end: number[];
  strides: number[];
  beginMask: number;
  endMask: number;
  ellipsisMask: number;
  newAxisMask: number;
  shrinkAxisMask: number;
};

/** Negative strides read the reversed axis. */
function stridedSlice(x: Node, attributes: StridedSlice): Node {
  const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attributes;
  const info = tf.slice_util.sliceInfo(
    [...x.type.shape],
    begin,
    end,
    strides,
    beginMask,
    endMask,
    ellipsisMask,
    newAxisMask,
    shrinkAxisMask,
  );
  if (info.isIdentity) return reshape(x, info.finalShape);
  const lengths = info.begin.map((start, axis) =>
    Math.max(0, Math.ceil((info.end[axis] - start) / info.strides[axis])),
  );
  if (lengths.includes(0)) return constant(0, x.type.type, info.finalShape);
  const { shape } = x.type;
  const backward = info.strides.flatMap((stride, axis) => (stride < 0 ? [axis] : []));
  const from = info.begin.map((start, axis) => (info.strides[axis] < 0 ? shape[axis] - 1 - start : start));
  const to = from.map((start, axis) => start + (lengths[axis] - 1) * Math.abs(info.strides[axis]) + 1);
  const cut = slice(reverse(x, backward), from, to, info.strides.map(Math.abs));
  return reshape(cut, info.finalShape);
}
