import {
  applyConv2d,
  assertShape,
  type Conv2d,
  conv2dShapes,
  fanInUniform,
  initParameters,
  type ShapesOf,
} from '@tb/nn';
import type { Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { downsamplingFactor, type VaeConfig } from './config.js';
import { type Decoder, decoderShapes, decoderStages } from './decoder.js';
import { type Encoder, encoderShapes, encoderStages } from './encoder.js';
import { type Posterior, posteriorOf } from './posterior.js';
import { runStages } from './stage.js';

// N = images, H, W = height and width of an image, h, w = of a latent, C = channels of a latent

/** Parameters of the KL-regularized autoencoder (Rombach et al. 2022), by their official names. */
export type Vae = {
  encoder: Encoder;
  decoder: Decoder;
  quant_conv: Conv2d; // after the encoder
  post_quant_conv: Conv2d; // before the decoder
};

/** Shapes of all parameters, without making any. */
export function vaeShapes(config: VaeConfig): ShapesOf<Vae> {
  const { bottleneckChannels, latentChannels } = config;
  return {
    encoder: encoderShapes(config),
    decoder: decoderShapes(config),
    quant_conv: conv2dShapes(2 * bottleneckChannels, 2 * latentChannels, 1),
    post_quant_conv: conv2dShapes(latentChannels, bottleneckChannels, 1),
  };
}

/** Parameters to train from: PyTorch's default convolution weights, zero biases, norms at identity. */
export function initVae(key: Key, config: VaeConfig): Vae {
  return initParameters<Vae>(key, vaeShapes(config), (weightKey, shape, name) => {
    if (name.endsWith('.bias')) return tf.zeros([...shape]);
    const isNorm = shape.length === 1;
    return isNorm ? tf.ones([...shape]) : fanInUniform(weightKey, shape);
  });
}

/**
 * Encodes images to Gaussians over latents.
 *
 * @param images - [N, H, W, 3] in [-1, 1]; H and W multiples of the downsampling factor
 * @returns mean and log-variance [N, h, w, C], in the autoencoder's own units: multiply by `config.latentScale` for
 *   the tokenizer
 * @throws Error if the images have another shape
 */
export function encode(params: Vae, config: VaeConfig, images: tf.Tensor4D): Posterior {
  const factor = downsamplingFactor(config);
  const [, height, width] = images.shape;
  assertShape('encode', 'images', images, [null, null, null, config.imageChannels]);
  if (height % factor !== 0 || width % factor !== 0) {
    throw new Error(`encode: height and width of images must be multiples of ${factor}, got ${height} and ${width}`);
  }
  return tf.tidy(() =>
    posteriorOf(applyConv2d(params.quant_conv, runStages(encoderStages(params.encoder, config.normGroups), images))),
  );
}

/**
 * Decodes latents to images.
 *
 * @param latents - [N, h, w, C] in the autoencoder's own units: divide what the tokenizer gives by `config.latentScale`
 * @returns [N, H, W, 3], about [-1, 1] but not clamped
 * @throws Error if the latents have another number of channels
 */
export function decode(params: Vae, config: VaeConfig, latents: tf.Tensor4D): tf.Tensor4D {
  assertShape('decode', 'latents', latents, [null, null, null, config.latentChannels]);
  return tf.tidy(() =>
    runStages(decoderStages(params.decoder, config.normGroups), applyConv2d(params.post_quant_conv, latents)),
  );
}
