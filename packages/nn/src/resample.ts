import * as tf from '@tensorflow/tfjs-core';
import { applyConv2d, type Conv2d, conv2dParameters } from './conv.js';
import type { Declaration } from './params.js';

// N = images, C = channels

/** A change of resolution by two with a learned 3 × 3 convolution. */
export type Resample = { conv: Conv2d }; // C -> C

/** Declares a resampling layer, the same for either direction. */
export function resampleParameters(channels: number): Declaration<Resample> {
  return { conv: conv2dParameters(channels, channels, 3) };
}

/**
 * Doubles the resolution: repeats every pixel 2 × 2 times, then convolves.
 *
 * @param x - [N, height, width, C]
 * @returns [N, 2·height, 2·width, C]
 */
export function applyUpsample(params: Resample, x: tf.Tensor4D): tf.Tensor4D {
  const [, height, width] = x.shape;
  return tf.tidy(() =>
    applyConv2d(params.conv, tf.image.resizeNearestNeighbor(x, [2 * height, 2 * width]), { padding: 1 }),
  );
}

/**
 * Halves the resolution: convolves with stride 2. Zeros are added at the bottom and right side only, as in the autoencoder
 * of latent diffusion (Rombach et al. 2022): symmetric padding would shift the image by half a pixel per level.
 *
 * @param x - [N, height, width, C]
 * @returns [N, ⌊height/2⌋, ⌊width/2⌋, C]
 */
export function applyDownsample(params: Resample, x: tf.Tensor4D): tf.Tensor4D {
  return applyConv2d(params.conv, x, { stride: 2, padding: { top: 0, bottom: 1, left: 0, right: 1 } });
}
