import * as tf from '@tensorflow/tfjs-core';
import { assertLastAxis } from './assert.js';
import { type Declaration, parameter } from './params.js';

// D = width

/** Scale and offset after the normalization. */
export type LayerNorm = {
  weight: tf.Tensor; // [D]
  bias: tf.Tensor; // [D]
};

/** Declares a layer norm that starts as the plain normalization. */
export function layerNormParameters(width: number): Declaration<LayerNorm> {
  return { weight: parameter([width], 1), bias: parameter([width], 0) };
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

/**
 * Modulates a norm's output as adaptive layer norm does: x·(1 + scale) + shift (Peebles & Xie 2023).
 *
 * @param x - normalized features
 * @param shift - of x's shape, or broadcasting to it
 * @param scale - of x's shape, or broadcasting to it
 */
export function modulate<X extends tf.Tensor>(x: X, shift: tf.Tensor, scale: tf.Tensor): X {
  return tf.tidy(() => tf.add(tf.mul(x, tf.add(scale, 1)), shift)) as X;
}

/**
 * (x − mean) / √(variance + epsilon) with the biased variance: the core of layer and group norm.
 *
 * @param mean - averages over what is normalized together, in a shape that broadcasts to x's
 * @returns a tensor of x's shape
 */
export function normalize<X extends tf.Tensor>(x: X, mean: Mean, epsilon: number): X {
  return tf.tidy(() => normalizeWithGradient(mean, epsilon)(x)) as X;
}

type Mean = (x: tf.Tensor) => tf.Tensor;

// Custom gradient: on [1024, 1024] on wasm, forward and backward took 6.9 ms instead of 15, 17 kernels instead of 43.
function normalizeWithGradient(mean: Mean, epsilon: number) {
  return tf.customGrad((input, save) => {
    const x = input as tf.Tensor;
    const centered = tf.sub(x, mean(x));
    const variance = mean(tf.square(centered));
    const inverseDeviation = tf.rsqrt(tf.add(variance, epsilon));
    const value = tf.mul(centered, inverseDeviation);
    (save as tf.GradSaveFunc)([value, inverseDeviation]);
    const gradFunc = (upstream: tf.Tensor, [normalized, scale]: tf.Tensor[]) => {
      // dx = scale · (dy − mean(dy) − y·mean(dy·y))
      const slope = mean(tf.mul(upstream, normalized));
      return tf.mul(scale, tf.sub(tf.sub(upstream, mean(upstream)), tf.mul(normalized, slope)));
    };
    return { value, gradFunc };
  });
}
