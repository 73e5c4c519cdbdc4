import * as tf from '@tensorflow/tfjs-core';
import { dropoutMask, type Key } from '../random/random.js';
import { mergesEqualWork, optimizationBarrier } from './optimization-barrier.js';

/**
 * x · dropoutMask(key, x.shape, keepProbability). Compiled, the mask is a hash of key and place that costs less to compute
 * than to read, so the gradient makes it again and no mask is ever stored; elsewhere it is kept for the gradient.
 *
 * @throws RangeError if `keepProbability` is not in (0, 1]
 */
export function dropElements<X extends tf.Tensor>(x: X, key: Key, keepProbability: number): X {
  if (!mergesEqualWork()) return tf.tidy(() => tf.mul(x, dropoutMask(key, x.shape, keepProbability))) as X;
  const withGradient = tf.customGrad((input, save) => {
    (save as tf.GradSaveFunc)([key]);
    const masked = (values: tf.Tensor, by: Key) => tf.mul(values, dropoutMask(by, values.shape, keepProbability));
    return {
      value: masked(input as tf.Tensor, key),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => masked(dy, optimizationBarrier(saved)[0]),
    };
  });
  return withGradient(x) as X;
}
