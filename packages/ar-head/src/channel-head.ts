import {
  type Embedding,
  embeddingShapes,
  initEmbedding,
  initLayerNorm,
  initLinear,
  initZeroLinear,
  type LayerNorm,
  type Linear,
  layerNormShapes,
  linearShapes,
  normal,
  type ShapesOf,
} from '@tb/nn';
import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type AdaptiveModulation, type ChannelBlock, channelBlockShapes, initChannelBlock } from './channel-block.js';
import { assertChannelHeadConfig, type ChannelHeadConfig, classCount, groupCount } from './config.js';

// G = groups of channels, K = classes of a group, Z = width of the backbone's features, D = width of the head

/** Parameters of the channel head, by their names in the official checkpoints. Lists go in the channels' order. */
export type ChannelHead = {
  channel_embed: tf.Tensor; // [1, G, D], position embedding of the sequence of channels
  timesteps_embeddings: tf.Tensor; // [1, G, D], position embedding of the condition
  condition_proj: Linear; // Z -> D
  token_embeddings: Embedding[]; // G − 1 of K, for the class of each group but the last; none in a parallel head
  channel_blocks: ChannelBlock[];
  channel_norm: LayerNorm;
  channel_final: { adaLN_modulation: AdaptiveModulation }; // D -> 2D: scale and shift, in this order
  channel_heads: Linear[]; // G of D -> K
};

/** Shapes of the head's parameters. @throws Error listing every field that no head can have */
export function channelHeadShapes(config: ChannelHeadConfig): ShapesOf<ChannelHead> {
  assertChannelHeadConfig(config);
  const { featureWidth, width, depth } = config;
  const [groups, classes] = [groupCount(config), classCount(config)];
  return {
    channel_embed: [1, groups, width],
    timesteps_embeddings: [1, groups, width],
    condition_proj: linearShapes(featureWidth, width),
    token_embeddings: repeat(embeddedGroups(config), () => embeddingShapes(classes, width)),
    channel_blocks: repeat(depth, () => channelBlockShapes(config)),
    channel_norm: layerNormShapes(width),
    channel_final: { adaLN_modulation: { 1: linearShapes(width, 2 * width) } },
    channel_heads: repeat(groups, () => linearShapes(width, classes)),
  };
}

/**
 * Starting values as the reference draws them: N(0, 0.02²) for position embeddings, N(0, 1) for token embeddings,
 * xavier-uniform linears, zero modulations.
 *
 * @returns float32 tensors that the caller disposes
 * @throws Error listing every field of a configuration that no head can have
 */
export function initChannelHead(key: Key, config: ChannelHeadConfig): ChannelHead {
  assertChannelHeadConfig(config);
  const { featureWidth, width, depth } = config;
  const [groups, classes] = [groupCount(config), classCount(config)];
  return tf.tidy(() => {
    const keys = splitKey(key, 6);
    return {
      channel_embed: normal(keys[0], [1, groups, width]),
      timesteps_embeddings: normal(keys[1], [1, groups, width]),
      condition_proj: initLinear(keys[2], featureWidth, width),
      token_embeddings: splitKey(keys[3], embeddedGroups(config)).map((each) => initEmbedding(each, classes, width, 1)),
      channel_blocks: splitKey(keys[4], depth).map((each) => initChannelBlock(each, config)),
      channel_norm: initLayerNorm(width),
      channel_final: { adaLN_modulation: { 1: initZeroLinear(width, 2 * width) } },
      channel_heads: splitKey(keys[5], groups).map((each) => initLinear(each, width, classes)),
    };
  });
}

function embeddedGroups(config: ChannelHeadConfig): number {
  return config.kind === 'autoregressive' ? groupCount(config) - 1 : 0;
}

function repeat<Item>(count: number, make: () => Item): Item[] {
  return Array.from({ length: count }, make);
}
