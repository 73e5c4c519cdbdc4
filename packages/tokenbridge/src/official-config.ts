import { assertTokenBridgeConfig, officialChannelOrder, type TokenBridgeConfig } from './config.js';

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
 * The configuration of a model built with the official code's arguments. `use_quantized_value` and `grad_checkpointing` have
 * no counterpart: the official code ignores the first, and the second is an option of `loss`.
 *
 * @param channelOrder - the order that the code holds as a constant; for latents of other than 16 channels it needs another
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
  if (missing.length > 0) throw new Error(`configFromOfficial: arguments must be numbers: ${missing.join(', ')}`);
  if (official.patch_size !== 1)
    throw new Error(
      `configFromOfficial: patch_size must be 1, as the official channel head requires, got ${official.patch_size}`,
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
