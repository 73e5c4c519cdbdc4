import type { Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { normal } from './initializers.js';
import type { ShapesOf } from './params.js';

// V = entries, D = width

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

/** Larger tables would make one-hot rows too wide to be cheap. */
const largestTableForProduct = 4096;

function lookUp(table: tf.Tensor, indices: tf.Tensor): tf.Tensor {
  const [entries, width] = table.shape;
  if (entries > largestTableForProduct) return tf.gather(table, indices as tf.Tensor1D);
  // Own gradient: a product with one-hot rows instead of gather's scattered sum, whose order, and so whose rounding,
  // changes from run to run on a GPU. On wasm it is faster too: 46 ms instead of 224 for 16384 rows of 64 · 256.
  const withGradient = tf.customGrad((weight, save) => {
    (save as tf.GradSaveFunc)([indices]);
    const gradFunc = (upstream: tf.Tensor, [chosen]: tf.Tensor[]) => {
      const oneHot = tf.cast(tf.oneHot(tf.reshape(chosen, [-1]), entries), 'float32') as tf.Tensor2D;
      return tf.matMul(oneHot, tf.reshape<tf.Rank.R2>(upstream, [-1, width]), true);
    };
    return { value: tf.gather(weight as tf.Tensor, indices as tf.Tensor1D), gradFunc };
  });
  return withGradient(table);
}
