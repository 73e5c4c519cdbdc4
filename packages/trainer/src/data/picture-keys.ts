import type { HostRandom } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

/**
 * A random key for each picture of a batch, for what the step draws for it on the device: so that it depends neither on
 * the picture's place nor on how the batch is cut.
 *
 * @returns int32 [count, 2]
 */
export function drawPictureKeys(random: HostRandom, count: number): tf.Tensor2D {
  const words = Int32Array.from({ length: 2 * count }, () => random.integers(-(2 ** 31), 2 ** 31));
  return tf.tensor2d(words, [count, 2], 'int32');
}
