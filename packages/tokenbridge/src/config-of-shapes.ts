import { officialChannelOrder, type TokenBridgeConfig } from './config.js';
import { presets } from './presets.js';

/** Shapes of all weights by their official names. */
export type WeightShapes = Readonly<Record<string, readonly number[]>>;

/** The shapes of the weights do not tell everything that must be known of a model. */
export class ConfigNeededError extends Error {
  override readonly name = 'ConfigNeededError';

  constructor(
    /** What is not known, for the end of a sentence. */
    readonly reason: string,
  ) {
    super(`config must be given: ${reason}`);
  }
}

/**
 * The configuration of an official model from the shapes of its weights: classes, levels, latents and sizes. What no shape
 * tells is the released code's: quantization on [−5, 5] with r = 3, the channel order, and the heads of a backbone of a width
 * that a preset has.
 *
 * @throws ConfigNeededError when the weights are not an official model's, or have a width or latents of another kind; Error
 *   when they are an autoencoder's or MAR's
 */
export function configOfShapes(shapes: WeightShapes): TokenBridgeConfig {
  const other = otherNetwork(Object.keys(shapes));
  if (other) throw new Error(`configOfShapes: these are no weights of TokenBridge but ${other}`);
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
  const positions = sizeOf('output_pos_embed', 1);
  const side = Math.sqrt(positions);
  if (!Number.isInteger(side)) throw new ConfigNeededError(`no weight tells how ${positions} positions form a grid`);
  const channels = sizeOf('z_proj.weight', 1);
  if (channels !== officialChannelOrder.length)
    throw new ConfigNeededError(`no weight tells the order of ${channels} channels`);
  const encoder = stackOf('encoder', sizeOf('class_emb.weight', 1));
  const width = sizeOf('channel_embed', 2);
  return {
    latent: { height: side, width: side, channels },
    classes: sizeOf('class_emb.weight', 0),
    quantizer: { levels: sizeOf('token_embeddings.0.weight', 0), min: -5, max: 5, range: 3 },
    channelOrder: officialChannelOrder,
    backbone: {
      bufferSize: sizeOf('encoder_pos_embed_learned', 1) - positions,
      mlpRatio: sizeOf('encoder_blocks.0.mlp.fc1.weight', 0) / encoder.width,
      encoder,
      decoder: stackOf('decoder', sizeOf('mask_token', 2)),
    },
    head: {
      kind: 'autoregressive',
      groupSize: 1,
      width,
      depth: depthOf('channel_blocks'),
      heads: width / sizeOf('channel_blocks.0.attn.q_norm.weight', 0),
      mlpRatio: sizeOf('channel_blocks.0.mlp.fc1.weight', 0) / width,
    },
    training: presets.large.training,
  };
}

/** The networks whose files are taken for a TokenBridge model's most easily. */
function otherNetwork(names: string[]): string | undefined {
  if (names.includes('encoder.conv_in.weight')) return "an autoencoder's, which loadVae of @tb/vae reads";
  if (names.some((name) => name.startsWith('diffloss.')))
    return "MAR's, which has a diffusion head in place of the head over channels";
  return undefined;
}

/** Attention of any number of heads has the same weights. */
function headsOf(width: number): number {
  const known = Object.values(presets).find(({ backbone }) => backbone.encoder.width === width);
  if (!known) throw new ConfigNeededError(`no weight tells how many attention heads a backbone ${width} wide has`);
  return known.backbone.encoder.heads;
}
