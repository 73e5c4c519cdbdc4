import { InputError } from '@tb/io';
import type { CommonConfig } from './model.js';

// What the constructors of the released code and of MAR's code have in common: the first is made from the second.

/** The arguments that both constructors have and that decide what the model is. */
export type CommonArguments = {
  img_size: number;
  vae_stride: number;
  patch_size: number;
  encoder_embed_dim: number;
  encoder_depth: number;
  encoder_num_heads: number;
  decoder_embed_dim: number;
  decoder_depth: number;
  decoder_num_heads: number;
  mlp_ratio: number;
  vae_embed_dim: number;
  mask_ratio_min: number;
  label_drop_prob: number;
  class_num: number;
  attn_dropout: number;
  proj_dropout: number;
  buffer_size: number;
};

/** The names of `CommonArguments`: a record rather than a list, so that the compiler finds a forgotten one. */
export const commonArguments: Record<keyof CommonArguments, true> = {
  img_size: true,
  vae_stride: true,
  patch_size: true,
  encoder_embed_dim: true,
  encoder_depth: true,
  encoder_num_heads: true,
  decoder_embed_dim: true,
  decoder_depth: true,
  decoder_num_heads: true,
  mlp_ratio: true,
  vae_embed_dim: true,
  mask_ratio_min: true,
  label_drop_prob: true,
  class_num: true,
  attn_dropout: true,
  proj_dropout: true,
  buffer_size: true,
};

/**
 * Checks that all arguments are numbers, and that a patch is one latent, as all models here have it.
 *
 * @param caller - named in the errors
 * @throws InputError listing the arguments that are not numbers, or stating the size of the patch
 */
export function assertArguments<Arguments extends CommonArguments>(
  caller: string,
  given: Arguments,
  names: Record<keyof Arguments, true>,
): void {
  const missing = (Object.keys(names) as (keyof Arguments)[]).filter((name) => typeof given[name] !== 'number');
  if (missing.length > 0) throw new InputError(caller, `arguments must be numbers: ${missing.join(', ')}`);
  if (given.patch_size !== 1) throw new InputError(caller, `patch_size must be 1, got ${given.patch_size}`);
}

/** Translates the arguments that both constructors have. */
export function commonConfig(given: CommonArguments): CommonConfig {
  const side = Math.floor(given.img_size / given.vae_stride);
  return {
    latent: { height: side, width: side, channels: given.vae_embed_dim },
    classes: given.class_num,
    backbone: {
      bufferSize: given.buffer_size,
      mlpRatio: given.mlp_ratio,
      encoder: { width: given.encoder_embed_dim, depth: given.encoder_depth, heads: given.encoder_num_heads },
      decoder: { width: given.decoder_embed_dim, depth: given.decoder_depth, heads: given.decoder_num_heads },
    },
    training: {
      attentionDropout: given.attn_dropout,
      projectionDropout: given.proj_dropout,
      labelDropout: given.label_drop_prob,
      minimumMaskRatio: given.mask_ratio_min,
    },
  };
}
