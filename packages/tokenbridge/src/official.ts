import { InputError } from '@tb/io';
import {
  assertTokenBridgeConfig,
  type ImageModelConfig,
  officialChannelOrder,
  type TokenBridgeConfig,
} from './model.js';
import { presets } from './presets.js';

// Configurations of the released code's models: from its constructor arguments, or from the shapes of its weights.

/** The constructor arguments of the official `TokenBridge` class that decide what the model is. */
export type OfficialArguments = {
  img_size: number;
  vae_stride: number;
  patch_size: number;
  encoder_embed_dim: number;
  encoder_depth: number;
  encoder_num_heads: number;
  decoder_embed_dim: number;
  decoder_depth: number;
  decoder_num_heads: number;
  channel_embed_dim: number;
  channel_depth: number;
  channel_heads: number;
  mlp_ratio: number;
  quant_levels: number;
  vae_embed_dim: number;
  mask_ratio_min: number;
  label_drop_prob: number;
  class_num: number;
  attn_dropout: number;
  proj_dropout: number;
  buffer_size: number;
  quant_min: number;
  quant_max: number;
  std_range: number;
};

/**
 * Translates the arguments of the official code's constructor to a configuration. `use_quantized_value` and
 * `grad_checkpointing` have no counterpart: the official code ignores the first, and the second is an option of `loss`.
 *
 * @param channelOrder - default: the constant of the official code, for latents of 16 channels
 * @throws Error if an argument is missing, or is not one the official sampler can work with
 */
export function configFromOfficial(
  official: OfficialArguments,
  channelOrder: readonly number[] = officialChannelOrder,
): TokenBridgeConfig {
  assertArguments(official);
  const side = Math.floor(official.img_size / official.vae_stride);
  const config: TokenBridgeConfig = {
    latent: { height: side, width: side, channels: official.vae_embed_dim },
    classes: official.class_num,
    quantizer: {
      levels: official.quant_levels,
      min: official.quant_min,
      max: official.quant_max,
      range: official.std_range,
    },
    channelOrder,
    backbone: {
      bufferSize: official.buffer_size,
      mlpRatio: official.mlp_ratio,
      encoder: { width: official.encoder_embed_dim, depth: official.encoder_depth, heads: official.encoder_num_heads },
      decoder: { width: official.decoder_embed_dim, depth: official.decoder_depth, heads: official.decoder_num_heads },
    },
    head: {
      kind: 'autoregressive',
      groupSize: 1,
      width: official.channel_embed_dim,
      depth: official.channel_depth,
      heads: official.channel_heads,
      mlpRatio: official.mlp_ratio,
    },
    training: {
      attentionDropout: official.attn_dropout,
      projectionDropout: official.proj_dropout,
      labelDropout: official.label_drop_prob,
      minimumMaskRatio: official.mask_ratio_min,
    },
  };
  assertTokenBridgeConfig(config);
  return config;
}

function assertArguments(official: OfficialArguments): void {
  const missing = argumentNames.filter((name) => typeof official[name] !== 'number');
  if (missing.length > 0)
    throw new InputError('configFromOfficial', `arguments must be numbers: ${missing.join(', ')}`);
  if (official.patch_size !== 1)
    throw new InputError(
      'configFromOfficial',
      `patch_size must be 1, as the official channel head requires, got ${official.patch_size}`,
    );
}

// A record rather than a list, so that the compiler finds a forgotten name.
const argumentRecord: Record<keyof OfficialArguments, true> = {
  img_size: true,
  vae_stride: true,
  patch_size: true,
  encoder_embed_dim: true,
  encoder_depth: true,
  encoder_num_heads: true,
  decoder_embed_dim: true,
  decoder_depth: true,
  decoder_num_heads: true,
  channel_embed_dim: true,
  channel_depth: true,
  channel_heads: true,
  mlp_ratio: true,
  quant_levels: true,
  vae_embed_dim: true,
  mask_ratio_min: true,
  label_drop_prob: true,
  class_num: true,
  attn_dropout: true,
  proj_dropout: true,
  buffer_size: true,
  quant_min: true,
  quant_max: true,
  std_range: true,
};
const argumentNames = Object.keys(argumentRecord) as (keyof OfficialArguments)[];

/** Shapes of all weights by their official names. */
export type WeightShapes = Readonly<Record<string, readonly number[]>>;

/** Thrown when the shapes of weights are not enough to know a model's configuration. */
export class ConfigNeededError extends Error {
  override readonly name = 'ConfigNeededError';

  constructor(
    /** What is missing, for the end of a sentence. */
    readonly reason: string,
  ) {
    super(`config must be given: ${reason}`);
  }
}

/**
 * Recognizes the configuration of an official model by the shapes of its weights: classes, levels, latents and sizes. What
 * shapes do not show is taken from the released code: quantization on [−5, 5] with r = 3, the channel order, and the attention
 * heads of the preset with the backbone's width. Weights of MAR are recognized too.
 *
 * @throws ConfigNeededError if the weights are not an official model's, or have a width or latents that no preset has; Error
 *   if they are an autoencoder's
 */
export function configOfShapes(shapes: WeightShapes): ImageModelConfig {
  const names = Object.keys(shapes);
  refuseAutoencoder(names);
  const isOfMar = names.some((name) => name.startsWith('diffloss.'));
  const sizeOf = (name: string, axis: number): number => {
    const size = shapes[name]?.[axis];
    if (size === undefined) throw new ConfigNeededError(`no official model has these weights: ${name} is missing`);
    return size;
  };
  const depthOf = (blocks: string) =>
    new Set(Object.keys(shapes).flatMap((name) => new RegExp(`^${blocks}\\.(\\d+)\\.`).exec(name)?.[1] ?? [])).size;
  const stackOf = (part: 'encoder' | 'decoder', width: number) => ({
    width,
    depth: depthOf(`${part}_blocks`),
    heads: headsOf(width),
  });
  const positions = sizeOf(isOfMar ? 'diffusion_pos_embed_learned' : 'output_pos_embed', 1);
  const side = Math.sqrt(positions);
  if (!Number.isInteger(side))
    throw new ConfigNeededError(`the weights do not show how ${positions} positions form a grid`);
  const channels = sizeOf('z_proj.weight', 1);
  const encoder = stackOf('encoder', sizeOf('class_emb.weight', 1));
  const common = {
    latent: { height: side, width: side, channels },
    classes: sizeOf('class_emb.weight', 0),
    backbone: {
      bufferSize: sizeOf('encoder_pos_embed_learned', 1) - positions,
      mlpRatio: sizeOf('encoder_blocks.0.mlp.fc1.weight', 0) / encoder.width,
      encoder,
      decoder: stackOf('decoder', sizeOf('mask_token', 2)),
    },
    training: presets.large.training,
  };
  if (isOfMar) {
    const size = { width: sizeOf('diffloss.net.input_proj.weight', 0), depth: depthOf('diffloss.net.res_blocks') };
    return { ...common, head: { kind: 'diffusion', ...size, timestepsPerPosition: 4 } };
  }
  if (channels !== officialChannelOrder.length)
    throw new ConfigNeededError(`the weights do not show the order of ${channels} channels`);
  const width = sizeOf('channel_embed', 2);
  return {
    ...common,
    quantizer: { levels: sizeOf('token_embeddings.0.weight', 0), min: -5, max: 5, range: 3 },
    channelOrder: officialChannelOrder,
    head: {
      kind: 'autoregressive',
      groupSize: 1,
      width,
      depth: depthOf('channel_blocks'),
      heads: width / sizeOf('channel_blocks.0.attn.q_norm.weight', 0),
      mlpRatio: sizeOf('channel_blocks.0.mlp.fc1.weight', 0) / width,
    },
  };
}

/** The network whose files are most easily mistaken for those of a model. */
function refuseAutoencoder(names: readonly string[]): void {
  if (!names.includes('encoder.conv_in.weight')) return;
  throw new InputError(
    'configOfShapes',
    "these are not the weights of TokenBridge but an autoencoder's, which loadVae of @tb/vae reads",
  );
}

/** Attention heads of a backbone: the weights have the same shapes for any number of them. */
function headsOf(width: number): number {
  const preset = Object.values(presets).find(({ backbone }) => backbone.encoder.width === width);
  if (!preset)
    throw new ConfigNeededError(`the weights do not show how many attention heads a backbone ${width} wide has`);
  return preset.backbone.encoder.heads;
}
