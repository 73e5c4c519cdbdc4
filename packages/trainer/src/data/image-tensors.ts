import * as tf from '@tensorflow/tfjs-core';
import type { Pixels } from './pixels.js';

// N = images, S = side in pixels

/** Bytes [N, S, S, 3] to a tensor of the same shape with values in [-1, 1]. */
export function imagesToTensor(bytes: Uint8Array, count: number, size: number): tf.Tensor4D {
  const values = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) values[i] = bytes[i] / 127.5 - 1;
  return tf.tensor4d(values, [count, size, size, 3]);
}

/** A tensor [N, H, W, 3] of values around [-1, 1] to pictures, rounding to the nearest byte. */
export async function tensorToImages(images: tf.Tensor4D): Promise<Pixels[]> {
  const [count, height, width] = images.shape;
  const values = await images.data();
  const length = height * width * 3;
  return Array.from({ length: count }, (_, index) => ({
    width,
    height,
    data: Uint8Array.from(values.subarray(index * length, (index + 1) * length), (value) =>
      Math.round(Math.min(Math.max((value + 1) * 127.5, 0), 255)),
    ),
  }));
}
