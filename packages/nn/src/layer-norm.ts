import * as tf from '@tensorflow/tfjs-core';
import { assertLastAxis } from './assert.js';
import { normalize } from './normalize.js';
import type { ShapesOf } from './params.js';

// D = width

/** Scale and offset after the normalization. */
export type LayerNorm = {
  weight: tf.Tensor; // [D]
  bias: tf.Tensor; // [D]
};

/** Shapes of a layer norm's parameters. */
export function layerNormShapes(width: number): ShapesOf<LayerNorm> {
  return { weight: [width], bias: [width] };
}

/** The identity after the normalization. */
export function initLayerNorm(width: number): LayerNorm {
  return { weight: tf.ones([width]), bias: tf.zeros([width]) };
}

/**
 * Layer norm over the last axis.
 *
 * @param params - `null` for a norm without scale and offset (the norms that adaLN modulates)
 * @param x - [..., D]
 * @param epsilon - 1e-6 in every norm of the reference, which is not PyTorch's default of 1e-5
 * @returns [..., D]
 * @throws Error if the last axis of `x` is not D
 */
export function applyLayerNorm<X extends tf.Tensor>(params: LayerNorm | null, x: X, epsilon = 1e-6): X {
  if (params) assertLastAxis('applyLayerNorm', 'x', x, params.weight.size);
  return tf.tidy(() => {
    const normalized = normalize(x, (values) => tf.mean(values, -1, true), epsilon);
    return params ? tf.add(tf.mul(normalized, params.weight), params.bias) : normalized;
  }) as X;
}
