import { kl16, type VaeConfig } from './config.js';

/** Shapes of all weights by their official names. */
export type WeightShapes = Readonly<Record<string, readonly number[]>>;

/**
 * The sizes of an autoencoder from the shapes of its weights. What no shape tells is the reference's: 32 groups in every norm,
 * the factor that scales its latents, and latents of 16 × 16 positions as the nominal resolution.
 *
 * @throws Error when the weights are not those of an autoencoder, or have the names that diffusers gives them
 */
export function vaeConfigOfShapes(shapes: WeightShapes): VaeConfig {
  const sizeOf = (name: string, axis: number): number => {
    const size = shapes[name]?.[axis];
    if (size === undefined) throw new Error(`vaeConfigOfShapes: no autoencoder has these weights; ${name} is missing`);
    return size;
  };
  if (Object.keys(shapes).some((name) => name.startsWith('encoder.down_blocks.')))
    throw new Error(
      'vaeConfigOfShapes: these weights have the names of diffusers; the original checkpoint (encoder.down.…) is needed',
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
