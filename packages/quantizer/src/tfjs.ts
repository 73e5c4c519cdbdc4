// The quantizer on TensorFlow.js tensors. Both functions are made of plain operations with shapes that do not depend on
// data and never read data back, so they can be part of a traced and compiled program, on any backend.
// C = channels of the quantizer

import * as tf from '@tensorflow/tfjs-core';
import { kindOf } from './array-argument.js';
import type { Quantizer } from './quantizer.js';

/**
 * Quantizes latents to the index of the nearest codeword (Eq. 4), exactly as `quantizer.quantize` of a Float32Array does.
 * Comparisons with float32 thresholds round nothing, so this holds on every backend that compares float32 exactly.
 *
 * @param x - latents, float32, any shape whose last axis is the channels if the quantizer has several; NaN cannot be
 *   reported from here and gets index 0
 * @returns indices, int32, of the shape of x
 * @throws RangeError if the last axis does not fit; TypeError if it is not a tensor
 */
export function quantize<T extends tf.Tensor>(quantizer: Quantizer, x: T): T {
  checkTensor('quantize', quantizer, x);
  return tf.tidy(() => {
    const { levels, channels } = quantizer;
    const searchSize = 2 ** Math.ceil(Math.log2(levels)); // of a binary search without branches
    const table = tf.tensor1d(paddedThresholds(quantizer, searchSize), 'float32');
    const start = channelStart(channels, searchSize);
    let count: tf.Tensor = tf.zeros(x.shape, 'int32'); // thresholds known to be ≤ x
    for (let step = searchSize / 2; step >= 1; step /= 2) {
      const position = tf.add(tf.add(count, start), tf.scalar(step - 1, 'int32'));
      const reached = tf.cast(tf.greaterEqual(x, tf.gather(table, position)), 'int32');
      count = tf.add(count, tf.mul(reached, tf.scalar(step, 'int32')));
    }
    return tf.minimum(count, tf.scalar(levels - 1, 'int32')) as T; // +Infinity also reaches the padding
  });
}

/**
 * De-quantizes indices to the values of their codewords (Eq. 5), exactly as `quantizer.dequantize` does in float32.
 *
 * @param indices - int32 in [0, levels), any shape whose last axis is the channels if the quantizer has several;
 *   indices outside cannot be reported from here
 * @returns latents, float32, of the shape of indices
 * @throws RangeError if the last axis does not fit; TypeError if it is not a tensor
 */
export function dequantize<T extends tf.Tensor>(quantizer: Quantizer, indices: T): T {
  checkTensor('dequantize', quantizer, indices);
  return tf.tidy(() => {
    const table = tf.tensor1d(quantizer.float32Values, 'float32');
    return tf.gather(table, tf.add(indices, channelStart(quantizer.channels, quantizer.levels))) as T;
  });
}

/** The thresholds of each channel, filled up with infinities [C · size]. */
function paddedThresholds(quantizer: Quantizer, size: number): Float32Array {
  const { levels, channels } = quantizer;
  const padded = new Float32Array(channels * size).fill(Number.POSITIVE_INFINITY);
  for (let channel = 0; channel < channels; channel++) {
    const ofChannel = quantizer.float32Thresholds().subarray(channel * (levels - 1), (channel + 1) * (levels - 1));
    padded.set(ofChannel, channel * size);
  }
  return padded;
}

/** Where each channel's part of a table begins: [C], to be added along the last axis, or a scalar. */
function channelStart(channels: number, size: number): tf.Tensor {
  if (channels === 1) return tf.scalar(0, 'int32');
  const starts = Int32Array.from({ length: channels }, (_, channel) => channel * size);
  return tf.tensor1d(starts, 'int32');
}

function checkTensor(name: string, { channels }: Quantizer, x: tf.Tensor): void {
  if (!(x instanceof tf.Tensor))
    throw new TypeError(`${name}: a tensor is needed, got ${kindOf(x)}; the quantizer's own ${name} takes arrays`);
  if (channels > 1 && x.shape.at(-1) !== channels)
    throw new RangeError(`${name}: last axis must be the quantizer's ${channels} channels, got shape [${x.shape}]`);
}
