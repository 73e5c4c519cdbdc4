import type { Key } from '@tb/runtime';
import { decode, encode, klDivergence, sampleLatent, type Vae, type VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import type { LossResult } from '../train-step.js';

// N = images

/** The weight of each term of `vaeLoss`; pixels are in [-1, 1]. */
export type VaeLossWeights = {
  /** Mean absolute error. */
  absolute: number;
  /** Mean squared error, the one that PSNR measures. */
  squared: number;
  /** Mean absolute error of the differences between neighbouring pixels, at full, half and quarter resolution. */
  gradient: number;
  /** KL divergence from the standard normal, in nats per latent number. */
  kl: number;
};

/** Default weights of `vaeLoss`, chosen for pixel terms alone: the original weighs its own terms otherwise. */
export const defaultVaeLossWeights: VaeLossWeights = { absolute: 1, squared: 1, gradient: 0.5, kl: 1e-4 };

/**
 * Loss of the KL-regularized autoencoder. Pixels and their gradients take the place of the perceptual and adversarial
 * terms of the original, whose networks cannot be shipped.
 *
 * @param images - [N, height, width, 3] in [-1, 1]
 * @param key - of the latents' noise: one key, or one for each image [N, 2]
 */
export function vaeLoss(
  params: Vae,
  config: VaeConfig,
  images: tf.Tensor4D,
  key: Key,
  weights: VaeLossWeights = defaultVaeLossWeights,
): LossResult {
  const posterior = encode(params, config, images);
  const restored = decode(params, config, sampleLatent(posterior, key));
  const difference = tf.sub(restored, images) as tf.Tensor4D;
  const absolute = tf.mean(tf.abs(difference)) as tf.Scalar;
  const squared = tf.mean(tf.square(difference)) as tf.Scalar;
  const gradient = gradientError(difference);
  const [, ...latentShape] = posterior.mean.shape;
  const kl = tf.div(tf.mean(klDivergence(posterior)), tf.util.sizeFromShape(latentShape)) as tf.Scalar;
  const loss = tf.addN([
    tf.mul(absolute, weights.absolute),
    tf.mul(squared, weights.squared),
    tf.mul(gradient, weights.gradient),
    tf.mul(kl, weights.kl),
  ]) as tf.Scalar;
  return { loss, metrics: { absolute, squared, gradient, kl } };
}

/** Differencing and averaging are linear, so the error of the gradients is the gradient of the error. */
function gradientError(difference: tf.Tensor4D): tf.Scalar {
  const errors: tf.Tensor[] = [];
  let level = difference;
  for (let scale = 0; scale < 3; scale++) {
    const [count, height, width, channels] = level.shape;
    const right = tf.sub(
      tf.slice(level, [0, 0, 1, 0], [count, height, width - 1, channels]),
      tf.slice(level, [0, 0, 0, 0], [count, height, width - 1, channels]),
    );
    const down = tf.sub(
      tf.slice(level, [0, 1, 0, 0], [count, height - 1, width, channels]),
      tf.slice(level, [0, 0, 0, 0], [count, height - 1, width, channels]),
    );
    errors.push(tf.mean(tf.abs(right)), tf.mean(tf.abs(down)));
    level = halve(level);
  }
  return tf.div(tf.addN(errors), errors.length) as tf.Scalar;
}

/** Mean over blocks of 2 by 2 pixels. */
function halve(images: tf.Tensor4D): tf.Tensor4D {
  const [count, height, width, channels] = images.shape;
  const blocks = tf.reshape(images, [count, height / 2, 2, width / 2, 2 * channels]);
  const rows = tf.mean(blocks, 2); // [N, height / 2, width / 2, 2 · channels]
  return tf.mean(tf.reshape(rows, [count, height / 2, width / 2, 2, channels]), 3) as tf.Tensor4D;
}
