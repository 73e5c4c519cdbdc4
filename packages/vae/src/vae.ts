import { InputError } from '@tb/io';
import {
  applyConv2d,
  applyDownsample,
  applyGroupNorm,
  applyUpsample,
  assertShape,
  type Conv2d,
  conv2dParameters,
  type Declaration,
  type DeclaredParameter,
  type GroupNorm,
  groupNormParameters,
  type Resample,
  resampleParameters,
  type ShapesOf,
  shapesOf,
  silu,
} from '@tb/nn';
import { foldIn, type Key, mapTree, normal, tidyTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import {
  type AttentionBlock,
  applyAttentionBlock,
  applyResidualBlock,
  attentionBlockParameters,
  type Middle,
  middleParameters,
  middleStages,
  type ResidualBlock,
  residualBlockParameters,
  type Stage,
} from './blocks.js';
import { downsamplingFactor, levelChannels, type VaeConfig } from './config.js';

// N = images, C = channels of a latent
//
// The KL-regularized autoencoder, top to bottom: parameters, encode, decode, posterior, encoder, decoder.

/** Parameters of the KL-regularized autoencoder (Rombach et al. 2022), by their official names. */
export type Vae = {
  encoder: Encoder;
  decoder: Decoder;
  quant_conv: Conv2d; // after the encoder
  post_quant_conv: Conv2d; // before the decoder
};

/** Starting values are PyTorch's default convolution weights, zero biases, norms at identity. */
function vaeParameters(config: VaeConfig): Declaration<Vae> {
  const { bottleneckChannels, latentChannels } = config;
  return {
    encoder: encoderParameters(config),
    decoder: decoderParameters(config),
    quant_conv: conv2dParameters(2 * bottleneckChannels, 2 * latentChannels, 1),
    post_quant_conv: conv2dParameters(latentChannels, bottleneckChannels, 1),
  };
}

/** Shapes of all parameters, without making any. */
export function vaeShapes(config: VaeConfig): ShapesOf<Vae> {
  return shapesOf<Vae>(vaeParameters(config));
}

/** Makes parameters to train from: PyTorch's default convolution weights, zero biases, norms at identity. */
export function initVae(key: Key, config: VaeConfig): Vae {
  let place = 0; // each parameter's key is folded from its place in the tree
  const make = (declared: DeclaredParameter) => declared.make(foldIn(key, place++));
  return tidyTree(() => mapTree(make, vaeParameters(config))) as Vae;
}

/**
 * Encodes images to Gaussians over latents.
 *
 * @param images - [N, height, width, 3] in [-1, 1]; height and width multiples of the downsampling factor
 * @returns mean and log-variance [N, height / factor, width / factor, C], in the autoencoder's units: multiply by
 *   `config.latentScale` for the quantizer
 * @throws Error if the images have another shape
 */
export function encode(params: Vae, config: VaeConfig, images: tf.Tensor4D): Posterior {
  const factor = downsamplingFactor(config);
  const [, height, width] = images.shape;
  assertShape('encode', 'images', images, [null, null, null, config.imageChannels]);
  if (height % factor !== 0 || width % factor !== 0) {
    throw new InputError(
      'encode',
      `height and width of images must be multiples of ${factor}, got ${height} and ${width}`,
    );
  }
  return tf.tidy(() =>
    posteriorOf(applyConv2d(params.quant_conv, runStages(encoderStages(params.encoder, config.normGroups), images))),
  );
}

/**
 * Decodes latents to images.
 *
 * @param latents - [N, height / factor, width / factor, C] in the autoencoder's units: divide de-quantized values by
 *   `config.latentScale`
 * @returns [N, height, width, 3], about [-1, 1] but not clamped
 * @throws Error if the latents have another number of channels
 */
export function decode(params: Vae, config: VaeConfig, latents: tf.Tensor4D): tf.Tensor4D {
  assertShape('decode', 'latents', latents, [null, null, null, config.latentChannels]);
  return tf.tidy(() =>
    runStages(decoderStages(params.decoder, config.normGroups), applyConv2d(params.post_quant_conv, latents)),
  );
}

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

/** The encoder's blocks at one resolution. */
export type EncoderLevel = {
  block: ResidualBlock[];
  attn?: AttentionBlock[]; // one after each block, at the levels with attention
  downsample?: Resample; // not at the last level
};

/** Parameters of the encoder. */
export type Encoder = {
  conv_in: Conv2d;
  down: EncoderLevel[]; // from full resolution down
  mid: Middle;
  norm_out: GroupNorm;
  conv_out: Conv2d; // to twice the bottleneck's channels: mean and log-variance
};

function encoderParameters(config: VaeConfig): Declaration<Encoder> {
  const widths = levelChannels(config);
  const last = widths.length - 1;
  const level = (outputs: number, index: number): Declaration<EncoderLevel> => {
    const inputs = index === 0 ? config.channels : widths[index - 1];
    const attention = config.encoderAttentionResolutions.includes(config.resolution / 2 ** index);
    return {
      block: repeat(config.residualBlocks, (place) => residualBlockParameters(place === 0 ? inputs : outputs, outputs)),
      ...(attention && { attn: repeat(config.residualBlocks, () => attentionBlockParameters(outputs)) }),
      ...(index < last && { downsample: resampleParameters(outputs) }),
    };
  };
  return {
    conv_in: conv2dParameters(config.imageChannels, config.channels, 3),
    down: widths.map(level),
    mid: middleParameters(widths[last]),
    norm_out: groupNormParameters(widths[last]),
    conv_out: conv2dParameters(widths[last], 2 * config.bottleneckChannels, 3),
  };
}

/** The encoder's steps in order; each reads what the one before returned. */
export function* encoderStages(params: Encoder, groups: number): Generator<Stage> {
  yield { name: 'conv_in', apply: (x) => applyConv2d(params.conv_in, x, { padding: 1 }) };
  for (const [index, { block, attn, downsample }] of params.down.entries()) {
    for (let place = 0; place < block.length; place++) {
      yield { name: `down.${index}.block.${place}`, apply: (x) => applyResidualBlock(block[place], x, groups) };
      if (attn)
        yield { name: `down.${index}.attn.${place}`, apply: (x) => applyAttentionBlock(attn[place], x, groups) };
    }
    if (downsample) yield { name: `down.${index}.downsample`, apply: (x) => applyDownsample(downsample, x) };
  }
  yield* middleStages(params.mid, groups);
  yield { name: 'norm_out', apply: (x) => applyGroupNorm(params.norm_out, x, { groups }) };
  yield { name: 'conv_out', apply: (x) => applyConv2d(params.conv_out, silu(x), { padding: 1 }) };
}

/** The decoder's blocks at one resolution. */
export type DecoderLevel = {
  block: ResidualBlock[]; // one more than in the encoder
  attn?: AttentionBlock[]; // one after each block, at the levels with attention
  upsample?: Resample; // not at full resolution
};

/** Parameters of the decoder. */
export type Decoder = {
  conv_in: Conv2d;
  mid: Middle;
  up: DecoderLevel[]; // numbered as in the encoder, from full resolution down; run from the last to the first
  norm_out: GroupNorm;
  conv_out: Conv2d;
};

function decoderParameters(config: VaeConfig): Declaration<Decoder> {
  const widths = levelChannels(config);
  const last = widths.length - 1;
  const level = (outputs: number, index: number): Declaration<DecoderLevel> => {
    const inputs = index === last ? outputs : widths[index + 1];
    const blocks = config.residualBlocks + 1;
    const attention = config.decoderAttentionResolutions.includes(config.resolution / 2 ** index);
    return {
      block: repeat(blocks, (place) => residualBlockParameters(place === 0 ? inputs : outputs, outputs)),
      ...(attention && { attn: repeat(blocks, () => attentionBlockParameters(outputs)) }),
      ...(index > 0 && { upsample: resampleParameters(outputs) }),
    };
  };
  return {
    conv_in: conv2dParameters(config.bottleneckChannels, widths[last], 3),
    mid: middleParameters(widths[last]),
    up: widths.map(level),
    norm_out: groupNormParameters(widths[0]),
    conv_out: conv2dParameters(widths[0], config.imageChannels, 3),
  };
}

/** The decoder's steps in order; each reads what the one before returned. */
export function* decoderStages(params: Decoder, groups: number): Generator<Stage> {
  yield { name: 'conv_in', apply: (x) => applyConv2d(params.conv_in, x, { padding: 1 }) };
  yield* middleStages(params.mid, groups);
  for (let index = params.up.length - 1; index >= 0; index--) {
    const { block, attn, upsample } = params.up[index];
    for (let place = 0; place < block.length; place++) {
      yield { name: `up.${index}.block.${place}`, apply: (x) => applyResidualBlock(block[place], x, groups) };
      if (attn) yield { name: `up.${index}.attn.${place}`, apply: (x) => applyAttentionBlock(attn[place], x, groups) };
    }
    if (upsample) yield { name: `up.${index}.upsample`, apply: (x) => applyUpsample(upsample, x) };
  }
  yield { name: 'norm_out', apply: (x) => applyGroupNorm(params.norm_out, x, { groups }) };
  yield { name: 'conv_out', apply: (x) => applyConv2d(params.conv_out, silu(x), { padding: 1 }) };
}

function runStages(stages: Iterable<Stage>, input: tf.Tensor4D): tf.Tensor4D {
  let x = input;
  for (const stage of stages) x = stage.apply(x);
  return x;
}

function repeat<Item>(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
