import {
  applyEmbeddings,
  applyLayerNorm,
  applyLinear,
  applyLinears,
  assertLastAxis,
  type BlockDropout,
  type Dropout,
  dropoutOfBlocks,
  type KeyValueCache,
  modulate,
  silu,
} from '@tb/nn';
import { rematerialize as withRematerialization } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { applyChannelBlock, blockModulation, type ChannelBlock } from './channel-block.js';
import type { ChannelHead } from './channel-head.js';
import type { ChannelHeadConfig } from './config.js';

// R = rows (positions of all images), G = groups of channels, T = groups of one call, Z = feature width, D = width, K = classes
//
// The head's one forward path. Training walks over all groups in one call; sampling group after group, with a cache.

/**
 * The first input of the sequence of channels. The released code adds `timesteps_embeddings[0]` to it when it samples and
 * leaves it out when it trains; the switch says which of the two to do.
 */
export type FirstPosition = 'training' | 'sampling';

/** All that depends on the context features alone: computed once per position, however the groups are then walked. */
export type Condition = {
  /** First input of the sequence [R, 1, D]. */
  start: tf.Tensor3D;
  /** silu(condition) of every group [R, G, D], the input of all modulations. */
  activated: tf.Tensor3D;
  /** The final layer's scale and shift [R, G, 2D]. */
  final: tf.Tensor3D;
};

export type ForwardOptions = {
  /** In training only. */
  dropout?: Dropout;
  /** Keep each block's input only and compute its inside again for the gradient. */
  rematerialize?: boolean;
  /** Called with intermediate results and their official names. The tensor lives as long as the caller's scope. */
  observe?: (name: string, activation: tf.Tensor) => void;
};

/** @param features - context features [R, Z] */
export function conditionOn(
  params: ChannelHead,
  config: ChannelHeadConfig,
  features: tf.Tensor2D,
  firstPosition: FirstPosition,
  { observe }: ForwardOptions = {},
): Condition {
  assertLastAxis('conditionOn', 'features', features, config.featureWidth);
  const projected = applyLinear(params.condition_proj, features);
  observe?.('condition_proj', projected);
  const base = tf.expandDims(projected, 1) as tf.Tensor3D;
  const condition = tf.add(base, params.timesteps_embeddings) as tf.Tensor3D; // [R, G, D]
  const activated = silu(condition);
  return {
    start: firstPosition === 'sampling' ? tf.slice(condition, [0, 0, 0], [-1, 1, -1]) : base,
    activated,
    final: applyLinear(params.channel_final.adaLN_modulation[1], activated),
  };
}

/**
 * The inputs of the next groups: of each the class of the group before it, and of group 0 the start of the sequence; in a
 * parallel head the start for every group.
 *
 * @param first - the first of these groups
 * @param previous - classes of the groups before each of them but group 0, int32 [R, T or T − 1]; `null` where there are none
 * @returns [R, T, D]
 */
export function groupInputs(
  params: ChannelHead,
  config: ChannelHeadConfig,
  { start }: Condition,
  [first, count]: [first: number, count: number],
  previous: tf.Tensor2D | null,
): tf.Tensor3D {
  const positions = tf.slice(params.channel_embed as tf.Tensor3D, [0, first, 0], [1, count, -1]);
  if (config.kind === 'parallel' || !previous) return tf.add(start, positions);
  const tables = params.token_embeddings.slice(Math.max(0, first - 1), first + count - 1);
  const tokens = applyEmbeddings(tables, previous);
  return tf.add(first === 0 ? tf.concat([start, tokens], 1) : tokens, positions);
}

/** How far along the sequence of groups a call stands, and what it may reuse from the calls before. */
export type Walk = {
  /** The first group of the next call. */
  group: number;
  /** Keys and values of the groups behind, per block; `null` at the start. */
  caches: (KeyValueCache | null)[];
  /** The modulation of every block for all groups [R, G, 6D], or `null` to compute it inside each block. */
  modulations: tf.Tensor3D[] | null;
};

/** A walk that stands before the first group. */
export function startWalk(params: ChannelHead): Walk {
  return { group: 0, caches: params.channel_blocks.map(() => null), modulations: null };
}

/** The same, with all modulations computed at once: for a walk of many calls, which would else read their weights in each. */
export function startHoistedWalk(params: ChannelHead, { activated }: Condition): Walk {
  const modulations = params.channel_blocks.map((block) => blockModulation(block, activated));
  return { ...startWalk(params), modulations };
}

/**
 * The blocks and the final layer on the next groups: all of them in training, one in sampling.
 *
 * @param inputs - [R, T, D]
 * @returns features before the classifiers [R, T, D], and the walk behind these groups
 */
export function forward(
  params: ChannelHead,
  config: ChannelHeadConfig,
  condition: Condition,
  inputs: tf.Tensor3D,
  walk: Walk,
  { dropout, rematerialize = false, observe }: ForwardOptions = {},
): { features: tf.Tensor3D; walk: Walk } {
  const drops = dropoutOfBlocks(dropout, config.depth);
  const count = inputs.shape[1];
  const here = (all: tf.Tensor3D) =>
    all.shape[1] === count ? all : tf.slice(all, [0, walk.group, 0], [-1, count, -1]);
  const caches: (KeyValueCache | null)[] = [];
  // All tensors come as arguments, the dropout's keys included: rematerialization runs this again later.
  const runBlock = (block: ChannelBlock, x: tf.Tensor3D, source: tf.Tensor3D, index: number, drop?: BlockDropout) => {
    const modulation = walk.modulations ? source : blockModulation(block, source);
    const step = applyChannelBlock(block, x, modulation, walk.caches[index], {
      heads: config.heads,
      causal: config.kind === 'autoregressive',
      dropout: drop,
    });
    caches.push(rematerialize ? null : step.cache);
    return step.output;
  };
  const apply = rematerialize ? withRematerialization(runBlock) : runBlock;
  const hidden = params.channel_blocks.reduce((x, parameters, index) => {
    const source = here(walk.modulations?.[index] ?? condition.activated);
    const output = apply(parameters, x, source, index, drops[index]);
    observe?.(`channel_blocks.${index}`, output);
    return output;
  }, inputs);
  const features = finalLayer(params, hidden, here(condition.final), observe);
  return { features, walk: { ...walk, group: walk.group + count, caches } };
}

/** Logits of the groups from `first` on: features [R, T, D] to [R, T, K]. */
export function classify(params: ChannelHead, first: number, features: tf.Tensor3D): tf.Tensor3D {
  return applyLinears(params.channel_heads.slice(first, first + features.shape[1]), features);
}

/** The affine norm, then the norm without parameters that the condition modulates; its chunks are scale, then shift. */
function finalLayer(
  params: ChannelHead,
  x: tf.Tensor3D,
  modulation: tf.Tensor3D,
  observe?: ForwardOptions['observe'],
): tf.Tensor3D {
  const normalized = applyLayerNorm(params.channel_norm, x);
  observe?.('channel_norm', normalized);
  const [scale, shift] = tf.split(modulation, 2, 2);
  const output = modulate(applyLayerNorm(null, normalized), shift, scale);
  observe?.('channel_final', output);
  return output;
}
