import { InputError } from '@tb/io';
import {
  assertTokenBridgeConfig,
  type ImageModelConfig,
  officialChannelOrder,
  type TokenBridgeConfig,
} from './model.js';
import { assertArguments, type CommonArguments, commonArguments, commonConfig } from './official-arguments.js';
import { presets } from './presets.js';

// Configurations of the released code's models: from its constructor arguments, or from the shapes of its weights.

/** The constructor arguments of the official `TokenBridge` class that decide what the model is. */
export type OfficialArguments = CommonArguments & {
  channel_embed_dim: number;
  channel_depth: number;
  channel_heads: number;
  quant_levels: number;
  quant_min: number;
  quant_max: number;
  std_range: number;
};

const officialArguments: Record<keyof OfficialArguments, true> = {
  ...commonArguments,
  channel_embed_dim: true,
  channel_depth: true,
  channel_heads: true,
  quant_levels: true,
  quant_min: true,
  quant_max: true,
  std_range: true,
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
  assertArguments('configFromOfficial', official, officialArguments);
  const config: TokenBridgeConfig = {
    ...commonConfig(official),
    quantizer: {
      levels: official.quant_levels,
      min: official.quant_min,
      max: official.quant_max,
      range: official.std_range,
    },
    channelOrder,
    head: {
      kind: 'autoregressive',
      groupSize: 1,
      width: official.channel_embed_dim,
      depth: official.channel_depth,
      heads: official.channel_heads,
      mlpRatio: official.mlp_ratio,
    },
  };
  assertTokenBridgeConfig(config);
  return config;
}

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
