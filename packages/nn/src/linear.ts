import type { Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertLastAxis, assertShape } from './assert.js';
import { xavierUniform } from './initializers.js';
import type { ShapesOf } from './params.js';

// I = inputs, O = outputs, R = rows, T = layers

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

/**
 * Several layers at once, layer t on place t: one product of batches.
 *
 * @param layers - T of them, all of the same shape
 * @param x - [R, T, I]
 * @returns [R, T, O]
 * @throws Error if `x` is not [R, T, I]
 */
export function applyLinears(layers: readonly Linear[], x: tf.Tensor3D): tf.Tensor3D {
  assertShape('applyLinears', 'x', x, [null, layers.length, layers[0].weight.shape[1]!]);
  return tf.tidy(() => {
    const weights = tf.stack(layers.map(({ weight }) => weight)); // [T, O, I]
    const product = tf.matMul(tf.transpose(x, [1, 0, 2]), weights, false, true); // [T, R, O]
    const biases = tf.stack(layers.map(({ bias }) => bias)); // [T, O]
    return tf.add(tf.transpose(product, [1, 0, 2]), biases) as tf.Tensor3D;
  });
}
