import type { Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertShape } from './assert.js';
import { normal } from './initializers.js';
import type { ShapesOf } from './params.js';

// V = entries, D = width, R = rows, T = tables

/** A table of vectors. */
export type Embedding = {
  weight: tf.Tensor; // [V, D]
};

/** Shape of an embedding's table. */
export function embeddingShapes(entries: number, width: number): ShapesOf<Embedding> {
  return { weight: [entries, width] };
}

/**
 * A Gaussian table. The deviation has no default because the reference uses two: 0.02 for classes, and PyTorch's 1 for
 * tokens.
 */
export function initEmbedding(key: Key, entries: number, width: number, standardDeviation: number): Embedding {
  return { weight: normal(key, [entries, width], standardDeviation) };
}

/**
 * @param indices - int32 [...], each in [0, V); what lies outside is not checked, for that would read data back
 * @returns [..., D]
 * @throws Error if `indices` is not of type int32
 */
export function applyEmbedding(params: Embedding, indices: tf.Tensor): tf.Tensor {
  if (indices.dtype !== 'int32') throw new Error(`applyEmbedding: indices must be int32, got ${indices.dtype}`);
  return tf.tidy(() => lookUp(params.weight, indices));
}

/**
 * Entries of several tables at once: entry `indices[r, t]` of table t. One lookup, and one product for its gradient.
 *
 * @param tables - T of them, all of the same shape [V, D]
 * @param indices - int32 [R, T], each in [0, V); not checked
 * @returns [R, T, D]
 * @throws Error if `indices` is not int32 [R, T]
 */
export function applyEmbeddings(tables: readonly Embedding[], indices: tf.Tensor2D): tf.Tensor3D {
  if (indices.dtype !== 'int32') throw new Error(`applyEmbeddings: indices must be int32, got ${indices.dtype}`);
  assertShape('applyEmbeddings', 'indices', indices, [null, tables.length]);
  return tf.tidy(() => lookUpPerColumn(tf.stack(tables.map(({ weight }) => weight)) as tf.Tensor3D, indices));
}

/** Larger tables would make one-hot rows too wide to be cheap. */
const largestTableForProduct = 4096;

function lookUp(table: tf.Tensor, indices: tf.Tensor): tf.Tensor {
  const column = tf.reshape<tf.Rank.R2>(indices, [-1, 1]);
  const found = lookUpPerColumn(tf.expandDims(table, 0) as tf.Tensor3D, column);
  return tf.reshape(found, [...indices.shape, table.shape[1]!]);
}

/** @param tables - [T, V, D], table t for column t of the indices [R, T] */
function lookUpPerColumn(tables: tf.Tensor3D, indices: tf.Tensor2D): tf.Tensor3D {
  const [count, entries, width] = tables.shape;
  const gather = (all: tf.Tensor3D) => {
    const firstRows = tf.range(0, count * entries, entries, 'int32');
    const rows = tf.reshape(tf.add(indices, firstRows), [-1]) as tf.Tensor1D;
    return tf.reshape(tf.gather(tf.reshape(all, [-1, width]), rows), [-1, count, width]) as tf.Tensor3D;
  };
  if (entries > largestTableForProduct) return gather(tables);
  // Own gradient: a product with one-hot rows instead of gather's scattered sum, whose order, and so whose rounding,
  // changes from run to run on a GPU. On wasm it is faster too: 46 ms instead of 224 for 16384 rows of 64 · 256.
  const withGradient = tf.customGrad((all, save) => {
    (save as tf.GradSaveFunc)([indices]);
    const gradFunc = (upstream: tf.Tensor, [chosen]: tf.Tensor[]) => {
      const oneHot = tf.cast(tf.oneHot(tf.transpose(chosen), entries), 'float32'); // [T, R, V]
      return tf.matMul(oneHot, tf.transpose(upstream, [1, 0, 2]), true);
    };
    return { value: gather(all as tf.Tensor3D), gradFunc };
  });
  return withGradient(tables) as tf.Tensor3D;
}
