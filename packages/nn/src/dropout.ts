import { dropElements, type Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertRate } from './assert.js';

/**
 * Zeroes each element with probability `rate` and scales the others by 1 / (1 − rate). In evaluation, do not call it.
 *
 * @param rate - in [0, 1); 0 gives x itself
 * @param key - decides which elements go: the same key gives the same mask
 * @throws RangeError if `rate` is outside [0, 1)
 */
export function dropout<X extends tf.Tensor>(x: X, rate: number, key: Key): X {
  assertRate('dropout', 'rate', rate);
  return rate === 0 ? tf.clone(x) : dropElements(x, key, 1 - rate);
}
