import { tidyTree } from '@tb/runtime';
import type { Vae, VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';

// C = latent channels

/** Mean and standard deviation of each latent channel over a set of images. */
export type LatentStatistics = { mean: Float64Array; deviation: Float64Array };

/**
 * Rescales the latents so that, multiplied by `config.latentScale`, every channel has mean 0 and variance 1: what the
 * quantizer's range expects. Only the two 1x1 convolutions around the latent change, and they cancel: images come back
 * as before.
 */
export function calibrateVae(params: Vae, config: VaeConfig, statistics: LatentStatistics): Vae {
  const factor = statistics.deviation.map((deviation) => 1 / (config.latentScale * deviation));
  const offset = statistics.mean;
  const channels = factor.length;
  return tidyTree(() => {
    const scale = tf.tensor1d(Float32Array.from(factor));
    const centre = tf.tensor1d(Float32Array.from(offset));
    const rows = tf.concat([scale, tf.ones([channels])]); // means scale, log-variances shift
    const { weight, bias } = params.quant_conv;
    const [meanBias, logVarianceBias] = tf.split(bias, 2);
    const after = params.post_quant_conv;
    const spread = tf.reshape(after.weight, [-1, channels]); // [bottleneck channels, C]
    return {
      ...params,
      quant_conv: {
        weight: tf.mul(weight, tf.reshape(rows, [-1, 1, 1, 1])),
        bias: tf.concat([tf.mul(tf.sub(meanBias, centre), scale), tf.add(logVarianceBias, tf.mul(tf.log(scale), 2))]),
      },
      post_quant_conv: {
        weight: tf.div(after.weight, tf.reshape(scale, [1, -1, 1, 1])),
        bias: tf.add(after.bias, tf.reshape(tf.matMul(spread, tf.reshape(centre, [-1, 1])), [-1])),
      },
    };
  });
}

/** Collects channel statistics over batches of latents. */
export function createLatentStatistics(channels: number) {
  const sum = new Float64Array(channels);
  const squares = new Float64Array(channels);
  let count = 0;
  return {
    /** @param latents - values [..., C] */
    add(latents: ArrayLike<number>): void {
      for (let i = 0; i < latents.length; i++) {
        sum[i % channels] += latents[i];
        squares[i % channels] += latents[i] * latents[i];
      }
      count += latents.length / channels;
    },
    finish(): LatentStatistics {
      const mean = sum.map((total) => total / count);
      const deviation = squares.map((total, channel) =>
        Math.sqrt(Math.max(total / count - mean[channel] ** 2, Number.EPSILON)),
      );
      return { mean, deviation };
    },
  };
}
