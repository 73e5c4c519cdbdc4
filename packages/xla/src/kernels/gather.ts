import * as tf from '@tensorflow/tfjs-core';
import type { Node } from '../graph/node.js';
import { gatherSlices, scatterSlices } from '../hlo/gather.js';
import { constant, iota } from '../hlo/literal.js';
import { broadcastTo, concatenate, convert, reshape, sizeOf, transpose } from '../hlo/shape.js';
import type { KernelTable } from './registry.js';

/** An index array with a last axis for its components. */
const withComponent = (indices: Node): Node => reshape(indices, [...indices.type.shape, 1]);

/**
 * Rows of axis `axis`, for each element of the first `batchDims` axes its own.
 *
 * @param x - [batch…, between…, A, rest…]
 * @param indices - [batch…, places…]
 * @returns [batch…, between…, places…, rest…]
 */
function gather(x: Node, indices: Node, axis: number, batchDims: number): Node {
  const { shape } = x.type;
  const batch = shape.slice(0, batchDims);
  const between = shape.slice(batchDims, axis);
  const rest = shape.slice(axis + 1);
  const places = indices.type.shape.slice(batchDims);
  // Axis A goes to the front of `between`; a gather reads [batch, A] and all of the other axes.
  const order = shape.map((_, i) => i);
  order.splice(axis, 1);
  order.splice(batchDims, 0, axis);
  const rows = sizeOf(batch);
  const length = shape[axis];
  const source = reshape(transpose(x, order), [rows, length, ...between, ...rest]);
  const flat = reshape(indices, [rows, sizeOf(places)]);
  const components =
    rows === 1 && batchDims === 0
      ? [withComponent(flat)]
      : [withComponent(iota('i32', flat.type.shape, 0)), withComponent(flat)];
  const table = components.length === 1 ? reshape(source, [length, ...between, ...rest]) : source;
  const gathered = gatherSlices(table, concatenate(components, 2)); // [rows, places, between…, rest…]
  const split = reshape(gathered, [...batch, ...places, ...between, ...rest]);
  const from = (start: number, count: number) => Array.from({ length: count }, (_, i) => start + i);
  return transpose(split, [
    ...from(0, batch.length),
    ...from(batch.length + places.length, between.length),
    ...from(batch.length, places.length),
    ...from(batch.length + places.length + between.length, rest.length),
  ]);
}

/** The sum of the rows of each segment: [numSegments, rest…]. Negative segments count nothing. */
function segmentSum(x: Node, segmentIds: Node, numSegments: number): Node {
  const type = x.type.type === 'bf16' ? 'f32' : x.type.type;
  const count = sizeOf(segmentIds.type.shape);
  const rest = x.type.shape.slice(segmentIds.type.shape.length);
  const updates = reshape(convert(x, type), [count, ...rest]);
  const ids = withComponent(reshape(convert(segmentIds, 'i32'), [count]));
  return scatterSlices(constant(0, type, [numSegments, ...rest]), ids, updates, 'add');
}

/** Rows of indices with one component for each leading axis; a vector of indices has one component each. */
function scatterInto(target: Node, places: Node, updates: Node, reduction?: 'add'): Node {
  const indices = places.type.shape.length === 1 ? withComponent(places) : places;
  const depth = indices.type.shape.at(-1)!;
  const rest = target.type.shape.slice(depth);
  const count = sizeOf(indices.type.shape) / depth;
  const rows = reshape(convert(indices, 'i32'), [count, depth]);
  const values = convert(updates, target.type.type);
  const isOne = sizeOf(values.type.shape) === 1;
  const full = [count, ...rest];
  return scatterSlices(target, rows, isOne ? broadcastTo(reshape(values, []), full) : reshape(values, full), reduction);
}

/** What the helpers of TensorFlow.js read of a tensor. */
function tensorLike(x: Node): tf.Tensor {
  const dtype = x.type.type === 'i32' ? 'int32' : 'float32';
  return { shape: [...x.type.shape], rank: x.type.shape.length, dtype } as tf.Tensor;
}

/** How often each value below `size` occurs in a row, or the sum of its weights. */
function countValues(x: Node, weights: Node, size: number, isBinary: boolean): Node {
  const isVector = x.type.shape.length === 1;
  const [rows, length] = isVector ? [1, x.type.shape[0]] : x.type.shape;
  const values = reshape(x, [rows, length, 1]);
  const row = iota('i32', [rows, length, 1], 0);
  const indices = reshape(concatenate([row, values], 2), [rows * length, 2]);
  const isWeighted = sizeOf(weights.type.shape) > 0 && !isBinary;
  const updates = isWeighted ? reshape(weights, [rows * length]) : constant(1, weights.type.type, [rows * length]);
  const zeros = constant(0, weights.type.type, [rows, size]);
  const counts = scatterSlices(zeros, indices, updates, isBinary ? undefined : 'add');
  return isVector ? reshape(counts, [size]) : counts;
}

export const gatherKernels: KernelTable = {
  Bincount: ({ x, weights }, { size }) =>
    countValues(reshape(x.node, [sizeOf(x.node.type.shape)]), weights.node, size, false),
  DenseBincount: ({ x, weights }, { size, binaryOutput }) => countValues(x.node, weights.node, size, binaryOutput),
  GatherNd: ({ params, indices }) => {
    tf.backend_util.prepareAndValidate(tensorLike(params.node), tensorLike(indices.node));
    const depth = indices.node.type.shape.at(-1)!;
    const shape = [...indices.node.type.shape.slice(0, -1), ...params.node.type.shape.slice(depth)];
    if (sizeOf(shape) === 0) return constant(0, params.node.type.type, shape);
    return depth === 0 ? broadcastTo(params.node, shape) : gatherSlices(params.node, convert(indices.node, 'i32'));
  },
  GatherV2: ({ x, indices }, { axis, batchDims = 0 }) => {
    const [at] = tf.util.parseAxisParam(axis, [...x.node.type.shape]);
    const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(
      tensorLike(x.node),
      tensorLike(indices.node),
      at,
      batchDims,
    );
    const rank = indices.node.type.shape.length;
    if (sizeOf(info.outputShape) === 0) return constant(0, x.node.type.type, info.outputShape);
    return gather(x.node, convert(indices.node, 'i32'), at, batchDims < 0 ? batchDims + rank : batchDims);
  },
  ScatterNd: ({ indices, updates }, { shape }) =>
    scatterInto(constant(0, updates.node.type.type, shape), indices.node, updates.node, 'add'),
  SparseToDense: ({ sparseIndices, sparseValues, defaultValue }, { outputShape }) => {
    const target = broadcastTo(defaultValue.node, outputShape);
    const { shape } = sparseIndices.node.type;
    const indices = shape.length === 0 ? reshape(sparseIndices.node, [1]) : sparseIndices.node;
    return scatterInto(target, indices, sparseValues.node);
  },
  TensorScatterUpdate: ({ tensor, indices, updates }) => scatterInto(tensor.node, indices.node, updates.node),
  UnsortedSegmentSum: ({ x, segmentIds }, { numSegments }) => segmentSum(x.node, segmentIds.node, numSegments),
};
