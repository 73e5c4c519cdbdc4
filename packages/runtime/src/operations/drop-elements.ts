import * as tf from '@tensorflow/tfjs-core';
import { dropoutMask, type Key } from '../random/random.js';
import { mergesEqualWork, optimizationBarrier } from './optimization-barrier.js';

/**
 * Dropout: x · dropoutMask(key, x.shape, keepProbability). Where programs are compiled, computing the mask (a hash of key and
 * place) costs less than reading it, so the gradient computes it again and no mask is stored. Elsewhere it is kept.
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
