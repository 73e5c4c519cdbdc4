import {
  type Attention,
  applyCachedAttention,
  applyEmbeddings,
  applyLayerNorm,
  applyLinear,
  applyLinears,
  applyMlp,
  assertLastAxis,
  attentionParameters,
  type BlockDropout,
  type Declaration,
  type Dropout,
  dropoutOfBlocks,
  type Embedding,
  embeddingParameters,
  initParameters,
  type KeyValueCache,
  type LayerNorm,
  type Linear,
  layerNormParameters,
  linearParameters,
  type Mlp,
  mlpParameters,
  modulate,
  normal,
  parameter,
  type Shape,
  type ShapesOf,
  shapesOf,
  silu,
  zeroLinearParameters,
} from '@tb/nn';
import { type Key, rematerialize as withRematerialization } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertChannelHeadConfig, type ChannelHeadConfig, groupCount, symbolCount } from './config.js';

// R = rows (the positions of all images), G = groups of channels, K = symbols of a group, Z = width of the backbone's features,
// D = width of the head
//
// The channel head, top to bottom: parameters, condition, inputs, blocks, classifiers. Training runs all groups in one call;
// sampling runs one group a call and keeps keys and values in a cache. Both run the same functions.

/** Parameters of the channel head, by their names in the official checkpoints. Lists follow the head's order of channels. */
export type ChannelHead = {
  channel_embed: tf.Tensor; // [1, G, D], position embedding of the sequence of groups
  timesteps_embeddings: tf.Tensor; // [1, G, D], position embedding of the condition
  condition_proj: Linear; // Z -> D
  token_embeddings: Embedding[]; // [K, D] for each group but the last; none in a parallel head
  channel_blocks: ChannelBlock[];
  channel_norm: LayerNorm;
  channel_final: { adaLN_modulation: AdaptiveModulation }; // D -> 2D: scale, then shift
  channel_heads: Linear[]; // D -> K for each group
};

/** A causal transformer block whose norms are modulated by the condition. */
export type ChannelBlock = {
  norm1: LayerNorm;
  attn: Attention;
  norm2: LayerNorm;
  mlp: Mlp;
  adaLN_modulation: AdaptiveModulation; // D -> 6D: shift, scale and gate of the attention, then of the MLP
};

/** The projection of adaLN. It is named `1` because the official module is a sequence of SiLU (0) and linear (1). */
export type AdaptiveModulation = { 1: Linear };

/**
 * Starting values are the reference's: N(0, 0.02²) for position embeddings, N(0, 1) for token embeddings, xavier-uniform
 * linears, zero modulations.
 */
function channelHeadParameters(config: ChannelHeadConfig): Declaration<ChannelHead> {
  assertChannelHeadConfig(config);
  const { kind, featureWidth, width, depth } = config;
  const [groups, symbols] = [groupCount(config), symbolCount(config)];
  const embeddedGroups = kind === 'autoregressive' ? groups - 1 : 0;
  const positions = (shape: Shape) => parameter(shape, (key) => normal(key, shape, 0.02));
  return {
    channel_embed: positions([1, groups, width]),
    timesteps_embeddings: positions([1, groups, width]),
    condition_proj: linearParameters(featureWidth, width),
    token_embeddings: repeat(embeddedGroups, () => embeddingParameters(symbols, width, 1)),
    channel_blocks: repeat(depth, () => blockParameters(config)),
    channel_norm: layerNormParameters(width),
    channel_final: { adaLN_modulation: { 1: zeroLinearParameters(width, 2 * width) } },
    channel_heads: repeat(groups, () => linearParameters(width, symbols)),
  };
}

/** The modulation starts at zero, so an untrained block is the identity. */
function blockParameters({ width, heads, mlpRatio }: ChannelHeadConfig): Declaration<ChannelBlock> {
  return {
    norm1: layerNormParameters(width),
    attn: attentionParameters({ width, heads, qkNorm: true }),
    norm2: layerNormParameters(width),
    mlp: mlpParameters(width, width * mlpRatio),
    adaLN_modulation: { 1: zeroLinearParameters(width, 6 * width) },
  };
}

function repeat<Item>(count: number, make: () => Item): Item[] {
  return Array.from({ length: count }, make);
}

/** Shapes of the head's parameters. @throws Error listing every field that no head can have */
export function channelHeadShapes(config: ChannelHeadConfig): ShapesOf<ChannelHead> {
  return shapesOf<ChannelHead>(channelHeadParameters(config));
}

/**
 * Makes starting values as the reference draws them.
 *
 * @returns float32 tensors that the caller disposes
 * @throws Error listing every field of a configuration that no head can have
 */
export function initChannelHead(key: Key, config: ChannelHeadConfig): ChannelHead {
  return initParameters<ChannelHead>(key, channelHeadParameters(config));
}

/**
 * How the first input of the sequence of groups is made. The released code adds `timesteps_embeddings[0]` to it when it
 * samples and leaves it out when it trains.
 */
export type FirstPosition = 'training' | 'sampling';

/** Options of a forward pass of the head. */
export type ForwardOptions = {
  /** In training only. */
  dropout?: Dropout;
  /** Keep each block's input only, and compute its inside again for the gradient. */
  rematerialize?: boolean;
  /** Called with intermediate results and their official names. The tensor lives as long as the caller's scope. */
  observe?: (name: string, activation: tf.Tensor) => void;
};

/** What depends on the context features alone: computed once per position, for all groups. */
export type Condition = {
  /** First input of the sequence [R, 1, D]. */
  start: tf.Tensor3D;
  /** silu(condition) of every group [R, G, D], the input of all modulations. */
  activated: tf.Tensor3D;
  /** The final layer's scale and shift [R, G, 2D]. */
  final: tf.Tensor3D;
};

/** Computes the condition from context features [R, Z]. */
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
 * Computes input embeddings of groups first … first + count − 1. The input of group g is the embedding of the symbol of group
 * g − 1, that of group 0 the start of the sequence. In a parallel head every group's input is the start.
 *
 * @param previous - symbols of the groups before each of these but group 0, int32 [R, count or count − 1]; `null` if there
 *   are none
 * @returns [R, count, D]
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

/** How far a sequence of groups is decoded, and what the next call reuses. */
export type DecodeState = {
  /** The first group of the next call. */
  nextGroup: number;
  /** Keys and values of the groups before it, one per block; `null` at the start. */
  caches: (KeyValueCache | null)[];
  /** Each block's modulation of all groups [R, G, 6D]; `null` to compute it inside the block. */
  modulations: tf.Tensor3D[] | null;
};

/** The modulations of every block for all groups [R, G, 6D]: for decoding in many calls, each of which would read their weights. */
export function allModulations(params: ChannelHead, { activated }: Condition): tf.Tensor3D[] {
  return params.channel_blocks.map((block) => blockModulation(block, activated));
}

/** The state before the first group, with all modulations if they are computed already. */
export function startDecoding(params: ChannelHead, modulations: tf.Tensor3D[] | null = null): DecodeState {
  return { nextGroup: 0, caches: params.channel_blocks.map(() => null), modulations };
}

/**
 * Runs the blocks and the final layer on the next groups: all of them in training, one in sampling.
 *
 * @param inputs - [R, count, D]
 * @returns features before the classifiers [R, count, D], and the state after these groups
 */
export function decodeGroups(
  params: ChannelHead,
  config: ChannelHeadConfig,
  condition: Condition,
  inputs: tf.Tensor3D,
  state: DecodeState,
  { dropout, rematerialize = false, observe }: ForwardOptions = {},
): { features: tf.Tensor3D; state: DecodeState } {
  const dropouts = dropoutOfBlocks(dropout, config.depth);
  const count = inputs.shape[1];
  const ofThese = (all: tf.Tensor3D) =>
    all.shape[1] === count ? all : tf.slice(all, [0, state.nextGroup, 0], [-1, count, -1]);
  const caches: (KeyValueCache | null)[] = [];
  // Every tensor is an argument, the dropout's keys included, because rematerialization runs this again later.
  const runBlock = (block: ChannelBlock, x: tf.Tensor3D, source: tf.Tensor3D, index: number, drop?: BlockDropout) => {
    const modulation = state.modulations ? source : blockModulation(block, source);
    const { output, cache } = applyBlock(block, x, modulation, state.caches[index], config, drop);
    caches.push(rematerialize ? null : cache);
    return output;
  };
  const apply = rematerialize ? withRematerialization(runBlock) : runBlock;
  const hidden = params.channel_blocks.reduce((x, block, index) => {
    const source = ofThese(state.modulations?.[index] ?? condition.activated);
    const output = apply(block, x, source, index, dropouts[index]);
    observe?.(`channel_blocks.${index}`, output);
    return output;
  }, inputs);
  const features = finalLayer(params, hidden, ofThese(condition.final), observe);
  return { features, state: { ...state, nextGroup: state.nextGroup + count, caches } };
}

/** A block's modulation from silu(condition): [R, G, D] to [R, G, 6D]. */
function blockModulation(params: ChannelBlock, activatedCondition: tf.Tensor3D): tf.Tensor3D {
  return applyLinear(params.adaLN_modulation[1], activatedCondition);
}

/**
 * x + gate·attention(modulated norm of x), then the same with the MLP.
 *
 * @param x - [R, count, D]
 * @param modulation - of these groups [R, count, 6D]
 * @param past - keys and values of the groups before; `null` at the start
 * @returns output [R, count, D], and the cache that includes these groups
 */
function applyBlock(
  params: ChannelBlock,
  x: tf.Tensor3D,
  modulation: tf.Tensor3D,
  past: KeyValueCache | null,
  { heads, kind }: ChannelHeadConfig,
  dropout?: BlockDropout,
): { output: tf.Tensor3D; cache: KeyValueCache } {
  return tf.tidy(() => {
    const [shift1, scale1, gate1, shift2, scale2, gate2] = tf.split(modulation, 6, 2);
    const attentionInput = modulate(applyLayerNorm(params.norm1, x), shift1, scale1);
    const attentionOptions = { heads, causal: kind === 'autoregressive', dropout: dropout?.attention };
    const attention = applyCachedAttention(params.attn, attentionInput, past, attentionOptions);
    const attended = tf.add(x, tf.mul(gate1, attention.output)) as tf.Tensor3D;
    const mlpInput = modulate(applyLayerNorm(params.norm2, attended), shift2, scale2);
    const mlpOutput = applyMlp(params.mlp, mlpInput, { dropout: dropout?.mlp });
    return { output: tf.add(attended, tf.mul(gate2, mlpOutput)) as tf.Tensor3D, cache: attention.cache };
  });
}

/** The affine norm, then the norm without parameters that the condition modulates: by scale, then shift. */
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

/** Classifies groups first, first + 1, …: features [R, count, D] to logits [R, count, K]. */
export function classifyGroups(params: ChannelHead, first: number, features: tf.Tensor3D): tf.Tensor3D {
  return applyLinears(params.channel_heads.slice(first, first + features.shape[1]), features);
}
