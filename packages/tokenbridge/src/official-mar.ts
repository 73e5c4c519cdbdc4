import { InputError } from '@tb/io';
import { assertTokenBridgeConfig, type MarConfig } from './model.js';

// Configurations of MAR's models from the arguments of its code's constructor.

/** The constructor arguments of MAR's `MAR` class that decide what the model is. Those with a default there may be left out. */
export type MarArguments = {
  img_size: number;
  vae_stride: number;
  patch_size?: number;
  encoder_embed_dim: number;
  encoder_depth: number;
  encoder_num_heads: number;
  decoder_embed_dim: number;
  decoder_depth: number;
  decoder_num_heads: number;
  mlp_ratio?: number;
  vae_embed_dim: number;
  mask_ratio_min?: number;
  label_drop_prob?: number;
  class_num: number;
  attn_dropout?: number;
  proj_dropout?: number;
  buffer_size: number;
  diffloss_d: number;
  diffloss_w: number;
  diffusion_batch_mul?: number;
};

/** The defaults of MAR's constructor. */
const defaults = {
  patch_size: 1,
  mlp_ratio: 4,
  mask_ratio_min: 0.7,
  label_drop_prob: 0.1,
  attn_dropout: 0.1,
  proj_dropout: 0.1,
  diffusion_batch_mul: 4,
};

// A record rather than a list, so that the compiler finds a forgotten name.
const required: Record<Exclude<keyof MarArguments, keyof typeof defaults>, true> = {
  img_size: true,
  vae_stride: true,
  encoder_embed_dim: true,
  encoder_depth: true,
  encoder_num_heads: true,
  decoder_embed_dim: true,
  decoder_depth: true,
  decoder_num_heads: true,
  vae_embed_dim: true,
  class_num: true,
  buffer_size: true,
  diffloss_d: true,
  diffloss_w: true,
};

/**
 * Translates the arguments of MAR's constructor to a configuration. `num_sampling_steps` is an option of `generate`
 * (`denoisingSteps`), and `grad_checkpointing` one of `loss`.
 *
 * @throws InputError if an argument is missing, or is one that no model here can have
 */
export function configFromMar(given: MarArguments): MarConfig {
  const official = { ...defaults, ...given };
  const names = Object.keys({ ...required, ...defaults }) as (keyof MarArguments)[];
  const missing = names.filter((name) => typeof official[name] !== 'number');
  if (missing.length > 0) throw new InputError('configFromMar', `arguments must be numbers: ${missing.join(', ')}`);
  if (official.patch_size !== 1)
    throw new InputError('configFromMar', `patch_size must be 1, got ${official.patch_size}`);
  const side = Math.floor(official.img_size / official.vae_stride);
  const config: MarConfig = {
    latent: { height: side, width: side, channels: official.vae_embed_dim },
    classes: official.class_num,
    backbone: {
      bufferSize: official.buffer_size,
      mlpRatio: official.mlp_ratio,
      encoder: { width: official.encoder_embed_dim, depth: official.encoder_depth, heads: official.encoder_num_heads },
      decoder: { width: official.decoder_embed_dim, depth: official.decoder_depth, heads: official.decoder_num_heads },
    },
    head: {
      kind: 'diffusion',
      width: official.diffloss_w,
      depth: official.diffloss_d,
      timestepsPerPosition: official.diffusion_batch_mul,
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
