import * as tf from '@tensorflow/tfjs-core';

/**
 * Adaptive layer norm's modulation x·(1 + scale) + shift (Peebles & Xie 2023).
 *
 * @param x - normalized features
 * @param shift - of x's shape, or broadcasting to it
 * @param scale - of x's shape, or broadcasting to it
 */
export function modulate<X extends tf.Tensor>(x: X, shift: tf.Tensor, scale: tf.Tensor): X {
  return tf.tidy(() => tf.add(tf.mul(x, tf.add(scale, 1)), shift)) as X;
}
