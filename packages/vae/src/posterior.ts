import { type Key, normal } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

// N = images, C = channels of a latent

/** The encoder's output for images: independent Gaussians over latents. */
export type Posterior = {
  mean: tf.Tensor4D; // [N, height, width, C]
  logVariance: tf.Tensor4D; // [N, height, width, C], in [-30, 20]
};

/**
 * Splits the encoder's output into mean and log-variance, and clamps the log-variance to [-30, 20].
 *
 * @param moments - [N, height, width, 2C]
 */
export function posteriorOf(moments: tf.Tensor4D): Posterior {
  return tf.tidy(() => {
    const [mean, logVariance] = tf.split(moments, 2, 3) as tf.Tensor4D[];
    return { mean, logVariance: tf.clipByValue(logVariance, -30, 20) };
  });
}

/**
 * Draws latents: mean + deviation · noise.
 *
 * @param key - one key, or one per image [N, 2]
 * @returns [N, height, width, C]
 */
export function sampleLatent({ mean, logVariance }: Posterior, key: Key): tf.Tensor4D {
  return tf.tidy(() => {
    const deviation = tf.exp(tf.mul(logVariance, 0.5));
    return tf.add(mean, tf.mul(deviation, normal(key, mean.shape)));
  });
}

/**
 * KL divergence of the posterior from the standard normal, ½ Σ (mean² + variance − 1 − log variance).
 *
 * @returns nats per image [N]
 */
export function klDivergence({ mean, logVariance }: Posterior): tf.Tensor1D {
  return tf.tidy(() => {
    const excess = tf.sub(tf.sub(tf.exp(logVariance), 1), logVariance);
    return tf.mul(tf.sum(tf.add(tf.square(mean), excess), [1, 2, 3]), 0.5) as tf.Tensor1D;
  });
}

/**
 * Negative logarithm of the posterior's density at `latents`.
 *
 * @param latents - [N, height, width, C]
 * @returns nats per image [N]
 */
export function negativeLogLikelihood({ mean, logVariance }: Posterior, latents: tf.Tensor4D): tf.Tensor1D {
  return tf.tidy(() => {
    const squared = tf.mul(tf.squaredDifference(latents, mean), tf.exp(tf.neg(logVariance)));
    const perValue = tf.add(tf.add(logVariance, squared), Math.log(2 * Math.PI));
    return tf.mul(tf.sum(perValue, [1, 2, 3]), 0.5) as tf.Tensor1D;
  });
}
