import * as tf from '@tensorflow/tfjs-core';
import { assertLastAxis, assertShape } from './assert.js';
import { xavierUniform } from './initializers.js';
import { type Declaration, parameter } from './params.js';

// I = inputs, O = outputs, R = rows

/** Linear layer y = x·weightᵀ + bias, in PyTorch's layout. */
export type Linear = {
  weight: tf.Tensor; // [O, I]
  bias: tf.Tensor; // [O]
};

/** Declares a linear layer that starts with a xavier-uniform weight and zero bias, as in the reference. */
export function linearParameters(inputs: number, outputs: number): Declaration<Linear> {
  return { weight: parameter([outputs, inputs], xavierUniform), bias: parameter([outputs], 0) };
}

/** Declares a linear layer that starts with zeros, as adaLN's projections do: an untrained modulation changes nothing. */
export function zeroLinearParameters(inputs: number, outputs: number): Declaration<Linear> {
  return { weight: parameter([outputs, inputs], 0), bias: parameter([outputs], 0) };
}

/**
 * Applies a linear layer to the last axis.
 *
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
 * Applies a different linear layer to each place of the middle axis, all in one batched product.
 *
 * @param layers - one for each place, all of the same shape
 * @param x - [R, layers, I]
 * @returns [R, layers, O]
 * @throws Error if `x` is not [R, layers, I]
 */
export function applyLinears(layers: readonly Linear[], x: tf.Tensor3D): tf.Tensor3D {
  assertShape('applyLinears', 'x', x, [null, layers.length, layers[0].weight.shape[1]!]);
  return tf.tidy(() => {
    const weights = tf.stack(layers.map(({ weight }) => weight)); // [layers, O, I]
    const product = tf.matMul(tf.transpose(x, [1, 0, 2]), weights, false, true); // [layers, R, O]
    const biases = tf.stack(layers.map(({ bias }) => bias)); // [layers, O]
    return tf.add(tf.transpose(product, [1, 0, 2]), biases) as tf.Tensor3D;
  });
}
