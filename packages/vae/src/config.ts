import { InputError } from '@tb/io';
/** Sizes of the autoencoder. In brackets: the names in the reference's configuration. */
export type VaeConfig = {
  /** Channels of an image (in_channels, out_ch). */
  imageChannels: number;
  /** Channels at full resolution (ch). */
  channels: number;
  /** Multiple of `channels` at each level (ch_mult); between two levels the resolution halves. */
  channelMultipliers: readonly number[];
  /** Residual blocks per level of the encoder; the decoder has one more (num_res_blocks). */
  residualBlocks: number;
  /** The resolution that names the levels; images may have another (resolution). */
  resolution: number;
  /** Encoder levels with attention, by their nominal resolution (attn_resolutions). */
  encoderAttentionResolutions: readonly number[];
  /** Decoder levels with attention; the reference has none outside the middle block. */
  decoderAttentionResolutions: readonly number[];
  /** Channels inside the bottleneck (z_channels). */
  bottleneckChannels: number;
  /** Channels of a latent (embed_dim). */
  latentChannels: number;
  /** Groups of every group norm; all channel counts must be multiples of it. */
  normGroups: number;
  /** A latent times this has about unit variance: what the quantizer reads. */
  latentScale: number;
};

/** The autoencoder of MAR and TokenBridge: 256 × 256 × 3 to 16 × 16 × 16. */
export const kl16: VaeConfig = {
  imageChannels: 3,
  channels: 128,
  channelMultipliers: [1, 1, 2, 2, 4],
  residualBlocks: 2,
  resolution: 256,
  encoderAttentionResolutions: [16],
  decoderAttentionResolutions: [],
  bottleneckChannels: 16,
  latentChannels: 16,
  normGroups: 32,
  latentScale: 0.2325,
};

/** A small one that trains in minutes: 64 × 64 × 3 to 8 × 8 × 16. */
export const demo: VaeConfig = {
  ...kl16,
  channels: 64,
  channelMultipliers: [1, 1, 2, 2],
  residualBlocks: 1,
  resolution: 64,
  encoderAttentionResolutions: [],
};

/** The named configurations. */
export const vaePresets = { kl16, demo };

/** How many times smaller than the image a latent is, per side: 16 for `kl16`. */
export function downsamplingFactor(config: VaeConfig): number {
  return 2 ** (config.channelMultipliers.length - 1);
}

/** Channels at each level, from full resolution down. */
export function levelChannels(config: VaeConfig): number[] {
  return config.channelMultipliers.map((multiplier) => config.channels * multiplier);
}

/** Shapes of all weights by their official names. */
export type WeightShapes = Readonly<Record<string, readonly number[]>>;

/**
 * Recognizes the configuration of an autoencoder by the shapes of its weights. What shapes do not show is taken from the
 * reference: 32 groups in every norm, the scale of its latents, and 16 × 16 latents as the nominal resolution.
 *
 * @throws Error if the weights are not those of an autoencoder, or have the names of diffusers
 */
export function vaeConfigOfShapes(shapes: WeightShapes): VaeConfig {
  const sizeOf = (name: string, axis: number): number => {
    const size = shapes[name]?.[axis];
    if (size === undefined)
      throw new InputError('vaeConfigOfShapes', `no autoencoder has these weights; ${name} is missing`);
    return size;
  };
  if (Object.keys(shapes).some((name) => name.startsWith('encoder.down_blocks.')))
    throw new InputError(
      'vaeConfigOfShapes',
      'these weights have the names of diffusers; the original checkpoint (encoder.down.…) is needed',
    );
  const channels = sizeOf('encoder.conv_in.weight', 0);
  const levels = countWhile((level) => `encoder.down.${level}.block.0.conv1.weight` in shapes);
  const widths = Array.from({ length: Math.max(levels, 1) }, (_, level) =>
    sizeOf(`encoder.down.${level}.block.0.conv1.weight`, 0),
  );
  const resolution = 16 * 2 ** (levels - 1);
  const attention = (prefix: string) =>
    widths.map((_, level) => level).filter((level) => `${prefix}.${level}.attn.0.norm.weight` in shapes);
  return {
    ...kl16,
    imageChannels: sizeOf('encoder.conv_in.weight', 1),
    channels,
    channelMultipliers: widths.map((width) => width / channels),
    residualBlocks: countWhile((block) => `encoder.down.0.block.${block}.conv1.weight` in shapes),
    resolution,
    encoderAttentionResolutions: attention('encoder.down').map((level) => resolution / 2 ** level),
    decoderAttentionResolutions: attention('decoder.up').map((level) => resolution / 2 ** level),
    bottleneckChannels: sizeOf('post_quant_conv.weight', 0),
    latentChannels: sizeOf('post_quant_conv.weight', 1),
  };
}

function countWhile(holds: (index: number) => boolean): number {
  let count = 0;
  while (holds(count)) count++;
  return count;
}
