import type { Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { applyConv2d, type Conv2d, conv2dShapes, initConv2d } from './conv.js';
import type { ShapesOf } from './params.js';

// N = images, H, W = height and width, C = channels

/** A change of resolution by two with a learned 3 × 3 convolution. */
export type Resample = { conv: Conv2d }; // C -> C

/** Shapes of the parameters, the same upwards and downwards. */
export function resampleShapes(channels: number): ShapesOf<Resample> {
  return { conv: conv2dShapes(channels, channels, 3) };
}

/** PyTorch's default start of the convolution. */
export function initResample(key: Key, channels: number): Resample {
  return { conv: initConv2d(key, channels, channels, 3) };
}

/**
 * Repeats every pixel 2 × 2 times, then convolves.
 *
 * @param x - [N, H, W, C]
 * @returns [N, 2H, 2W, C]
 */
export function applyUpsample(params: Resample, x: tf.Tensor4D): tf.Tensor4D {
  const [, height, width] = x.shape;
  return tf.tidy(() =>
    applyConv2d(params.conv, tf.image.resizeNearestNeighbor(x, [2 * height, 2 * width]), { padding: 1 }),
  );
}

/**
 * Convolves with stride 2. Zeros are added at the bottom and right side only, as the autoencoder of latent diffusion
 * does (Rombach et al. 2022): symmetric padding would shift the picture by half a pixel per level.
 *
 * @param x - [N, H, W, C]
 * @returns [N, ⌊H/2⌋, ⌊W/2⌋, C]
 */
export function applyDownsample(params: Resample, x: tf.Tensor4D): tf.Tensor4D {
  return applyConv2d(params.conv, x, { stride: 2, padding: { top: 0, bottom: 1, left: 0, right: 1 } });
}
