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
  return tf.gather(params.weight, indices as tf.Tensor1D);
}
