import * as tf from '@tensorflow/tfjs-core';
import { assertShape } from './assert.js';
import { normal } from './initializers.js';
import { type Declaration, parameter } from './params.js';

// D = width, R = rows

/** A table of vectors. */
export type Embedding = {
  weight: tf.Tensor; // [entries, D]
};

/**
 * Declares a table of Gaussian values. The deviation has no default because the reference uses two: 0.02 for classes, and
 * PyTorch's 1 for tokens.
 */
export function embeddingParameters(entries: number, width: number, standardDeviation: number): Declaration<Embedding> {
  return { weight: parameter([entries, width], (key, shape) => normal(key, shape, standardDeviation)) };
}

/**
 * Looks up rows of a table.
 *
 * @param indices - int32 [...], each in [0, entries); not range-checked, which would need a read from the device
 * @returns [..., D]
 * @throws Error if `indices` is not of type int32
 */
export function applyEmbedding(params: Embedding, indices: tf.Tensor): tf.Tensor {
  if (indices.dtype !== 'int32') throw new Error(`applyEmbedding: indices must be int32, got ${indices.dtype}`);
  return tf.tidy(() => {
    const column = tf.reshape<tf.Rank.R2>(indices, [-1, 1]);
    const rows = lookUpPerColumn(tf.expandDims(params.weight, 0) as tf.Tensor3D, column);
    return tf.reshape(rows, [...indices.shape, params.weight.shape[1]!]);
  });
}

/**
 * Looks up a different table in each column: row `indices[r, t]` of table t. All tables share one lookup, and one product
 * for its gradient.
 *
 * @param tables - one for each column, all of the same shape [entries, D]
 * @param indices - int32 [R, tables], each in [0, entries); not range-checked
 * @returns [R, tables, D]
 * @throws Error if `indices` is not int32 [R, tables]
 */
export function applyEmbeddings(tables: readonly Embedding[], indices: tf.Tensor2D): tf.Tensor3D {
  if (indices.dtype !== 'int32') throw new Error(`applyEmbeddings: indices must be int32, got ${indices.dtype}`);
  assertShape('applyEmbeddings', 'indices', indices, [null, tables.length]);
  return tf.tidy(() => lookUpPerColumn(tf.stack(tables.map(({ weight }) => weight)) as tf.Tensor3D, indices));
}

/** Larger tables would make one-hot rows too wide to be cheap. */
const largestTableForProduct = 4096;

/** Rows of tables [tables, entries, D], table t for column t of the indices [R, tables]: [R, tables, D]. */
function lookUpPerColumn(tables: tf.Tensor3D, indices: tf.Tensor2D): tf.Tensor3D {
  const [count, entries, width] = tables.shape;
  const gather = (all: tf.Tensor3D) => {
    const firstRows = tf.range(0, count * entries, entries, 'int32');
    const rows = tf.reshape(tf.add(indices, firstRows), [-1]) as tf.Tensor1D;
    return tf.reshape(tf.gather(tf.reshape(all, [-1, width]), rows), [-1, count, width]) as tf.Tensor3D;
  };
  if (entries > largestTableForProduct) return gather(tables);
  // Custom gradient: a product with one-hot rows instead of gather's scattered sum. The order of that sum, and so its
  // rounding, changes from run to run on a GPU. On wasm the product is faster too: 46 ms instead of 224 for 16384 rows of
  // 64 · 256.
  const withGradient = tf.customGrad((all, save) => {
    (save as tf.GradSaveFunc)([indices]);
    const gradFunc = (upstream: tf.Tensor, [chosen]: tf.Tensor[]) => {
      return tf.matMul(oneHot(tf.transpose(chosen), entries), tf.transpose(upstream, [1, 0, 2]), true);
    };
    return { value: gather(all as tf.Tensor3D), gradFunc };
  });
  return withGradient(tables) as tf.Tensor3D;
}

/** float32 [..., entries]; with one entry all ones, for which TensorFlow.js's `oneHot` has no case. */
function oneHot(indices: tf.Tensor, entries: number): tf.Tensor {
  if (entries === 1) return tf.ones([...indices.shape, 1]);
  return tf.cast(tf.oneHot(indices, entries), 'float32');
}
