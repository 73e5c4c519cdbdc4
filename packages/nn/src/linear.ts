import type { Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertLastAxis } from './assert.js';
import { xavierUniform } from './initializers.js';
import type { ShapesOf } from './params.js';

// I = inputs, O = outputs

/** y = x·weightᵀ + bias, in PyTorch's layout. */
export type Linear = {
  weight: tf.Tensor; // [O, I]
  bias: tf.Tensor; // [O]
};

/** Shapes of a linear layer's parameters. */
export function linearShapes(inputs: number, outputs: number): ShapesOf<Linear> {
  return { weight: [outputs, inputs], bias: [outputs] };
}

/** Xavier-uniform weight and zero bias, as the reference starts its linears. */
export function initLinear(key: Key, inputs: number, outputs: number): Linear {
  return { weight: xavierUniform(key, [outputs, inputs]), bias: tf.zeros([outputs]) };
}

/** A linear layer of zeros: the start of adaLN projections, so that an untrained modulation changes nothing. */
export function initZeroLinear(inputs: number, outputs: number): Linear {
  return { weight: tf.zeros([outputs, inputs]), bias: tf.zeros([outputs]) };
}

/**
 * @param x - [..., I], any leading axes
 * @returns [..., O]
 * @throws Error if the last axis of `x` is not I
 */
export function applyLinear<X extends tf.Tensor>(params: Linear, x: X): X {
  const [outputs, inputs] = params.weight.shape;
  assertLastAxis('applyLinear', 'x', x, inputs);
  return tf.tidy(() => {
    // Leading axes are flattened: a product of rank 3 by rank 2 has no gradient in TensorFlow.js.
    const rows = tf.reshape(x, [-1, inputs]);
    const product = tf.matMul(rows, params.weight, false, true);
    return tf.reshape(tf.add(product, params.bias), [...x.shape.slice(0, -1), outputs]) as X;
  });
}
