import { goldenJson, type goldenTensors } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import type { VaeConfig } from '../src/index.js';

type HostTensor = Awaited<ReturnType<typeof goldenTensors>>[string];

/** The configuration of the golden autoencoder, from the golden set's own file. */
export function goldenConfig(): VaeConfig {
  const { config } = goldenJson('vae', 'config.json');
  return {
    imageChannels: config.in_channels,
    channels: config.ch,
    channelMultipliers: config.ch_mult,
    residualBlocks: config.num_res_blocks,
    resolution: config.resolution,
    encoderAttentionResolutions: config.attn_resolutions,
    decoderAttentionResolutions: config.decoder_attn_resolutions,
    bottleneckChannels: config.z_channels,
    latentChannels: config.embed_dim,
    normGroups: config.norm_num_groups,
    latentScale: 0.2325,
  };
}

/** A golden tensor; images, given as [N, C, H, W], become [N, H, W, C]. */
export function tensorOf<T extends tf.Tensor>({ data, shape }: HostTensor): T {
  const values = tf.tensor(data as Float32Array, shape);
  if (shape.length !== 4) return values as T;
  const channelsLast = tf.transpose(values, [0, 2, 3, 1]);
  values.dispose();
  return channelsLast as T;
}

/** Values of a [N, H, W, C] tensor in the golden order [N, C, H, W]. */
export function channelsFirst(x: tf.Tensor4D): Float32Array {
  return tf.tidy(() => tf.transpose(x, [0, 3, 1, 2]).dataSync() as Float32Array);
}
