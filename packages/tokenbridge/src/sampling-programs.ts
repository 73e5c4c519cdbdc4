import { type FirstPosition, sampleChannels } from '@tb/ar-head';
import { applyBackbone, gatherPositions, selectPositions } from '@tb/backbone';
import {
  flattenTree,
  foldIn,
  type JitOptions,
  jit,
  type Key,
  mapTreeWithNames,
  storeBfloat16,
  tidyTree,
} from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { backboneConfig, channelHeadConfig, positionCount, type TokenBridgeConfig } from './config.js';
import type { TokenBridge } from './parameters.js';
import { dequantize } from './quantization.js';
import type { Plan } from './sampling-plan.js';

// N = images, S = positions, V / P = capacities for visible and predicted positions, C = channels, E = feature width
//
// One step of sampling as two compiled functions. Their shapes vary independently (V of the first, P of the second), so
// there are as many programs as capacities, not as pairs of them. What changes from step to step stays on the device, in
// memory that each step hands on to the next: GPUs replay a recorded program at once only if its addresses are the same.
// So no step has a result of its own, however small, whose address the allocator would choose anew.

/** Where sampling stands. */
export type SamplingState = {
  /** Of the step under way; float32 [N, S, E]. */
  features: tf.Tensor3D;
  /** In the latents' order of channels, int32 [N, S, C]; 0 where masked. */
  tokens: tf.Tensor3D;
  /** The probability that the model gave to a channel's token, as the geometric mean over the channels; [N, S], 0 where masked. */
  confidence: tf.Tensor2D;
  /** The plan's row that comes next, int32 scalar. */
  row: tf.Scalar;
};

/** What all steps of a run share. */
export type SamplingInputs = {
  plan: Plan;
  /** int32 [N]. */
  labels: tf.Tensor1D;
  /** float32 [N], 1 for images without a label. */
  unlabelled: tf.Tensor1D;
  /** One key per image [N, 2]. */
  noiseKeys: Key;
  /** Not read when greedy; scalar. */
  temperature: tf.Scalar;
};

export type FeatureOptions = {
  config: TokenBridgeConfig;
  /** Mix the features with and without labels. */
  guided: boolean;
  /** V, at least the number of known positions and 1. */
  visibleCapacity: number;
};

export type TokenOptions = {
  config: TokenBridgeConfig;
  greedy: boolean;
  firstPosition: FirstPosition;
  /** P, at least the number of positions to predict. */
  predictedCapacity: number;
};

/** The first `length` entries of a plan's row, for every image: [N, length]. */
function listsOf(lists: tf.Tensor3D, row: tf.Scalar, length = lists.shape[2]): tf.Tensor2D {
  const all = tf.gather<tf.Tensor>(lists, row) as tf.Tensor2D;
  return tf.slice(all, [0, 0], [-1, length]);
}

/**
 * The state with context features of all positions. With guidance the images go through the backbone twice, with and
 * without their labels, in one batch, and the two features (not the logits) are mixed, as in the reference. Consumes the
 * state.
 */
function predictFeatures(
  state: SamplingState,
  params: TokenBridge,
  { config, guided, visibleCapacity }: FeatureOptions,
  { plan, labels, unlabelled }: SamplingInputs,
): SamplingState {
  const { tokens, row } = state;
  const values = dequantize(config.quantizer, tokens);
  const visible = listsOf(plan.visible, row, visibleCapacity);
  const backbone = backboneConfig(config);
  if (!guided) return { ...state, features: applyBackbone(params, backbone, { values, visible, labels, unlabelled }) };
  const both = applyBackbone(params, backbone, {
    values: tf.concat([values, values], 0),
    visible: tf.concat([visible, visible], 0),
    labels: tf.concat([labels, labels], 0),
    unlabelled: tf.concat([unlabelled, tf.onesLike(unlabelled)], 0),
  });
  const [labelled, free] = tf.split(both, 2, 0);
  const features = tf.add(free, tf.mul(tf.gather(plan.scales, row), tf.sub(labelled, free))) as tf.Tensor3D;
  return { ...state, features };
}

/** Tokens int32 [N, P, C] in the latents' order of channels, and confidence [N, P]. */
export type Predicted = { tokens: tf.Tensor3D; confidence: tf.Tensor2D };

/** Draws the tokens of the positions that are next. */
function predictTokens(
  { features, row }: SamplingState,
  params: TokenBridge,
  { config, greedy, firstPosition, predictedCapacity }: TokenOptions,
  { plan, noiseKeys, temperature }: SamplingInputs,
): Predicted {
  const selected = selectPositions(features, listsOf(plan.predicted, row, predictedCapacity)); // [N, P, E]
  const keys = foldIn(noiseKeys, tf.gather(plan.steps, row));
  const draw = greedy ? 'greedy' : { temperature, keys };
  const sample = sampleChannels(params, channelHeadConfig(config), selected, { draw, firstPosition });
  const { channelOrder } = config;
  const inverseOrder = channelOrder.map((_, channel) => channelOrder.indexOf(channel));
  return {
    tokens: tf.gather(sample.tokens, inverseOrder, 2),
    confidence: tf.exp(tf.div(sample.logProbability, config.latent.channels)) as tf.Tensor2D,
  };
}

/** @param sources - for every position its prediction, −1 to stay as it is; int32 [N, S] */
function commit(state: SamplingState, predicted: Predicted, sources: tf.Tensor2D): SamplingState {
  const { features, tokens, confidence, row } = state;
  const isTaken = tf.cast(tf.greaterEqual(sources, tf.scalar(0, 'int32')), 'int32');
  const taken = tf.expandDims(isTaken, 2);
  const kept = tf.sub(tf.scalar(1, 'int32'), taken);
  const probabilities = gatherPositions(tf.expandDims(predicted.confidence, 2) as tf.Tensor3D, sources);
  return {
    features,
    tokens: tf.add(tf.mul(taken, gatherPositions(predicted.tokens, sources)), tf.mul(kept, tokens)),
    confidence: tf.add(confidence, tf.mul(tf.cast(isTaken, 'float32'), tf.squeeze(probabilities, [2]))),
    row: tf.add(row, tf.scalar(1, 'int32')),
  };
}

/** `predictTokens`, and `commit` of all that it predicts. Consumes the state. */
function fillPositions(
  state: SamplingState,
  params: TokenBridge,
  options: TokenOptions,
  inputs: SamplingInputs,
): SamplingState {
  const predicted = predictTokens(state, params, options, inputs);
  return commit(state, predicted, listsOf(inputs.plan.sources, state.row));
}

/** All programs of one precision; where the engine has no choice of it the same for either. */
const programsOf = (precision: JitOptions['precision']) => ({
  predictFeatures: jit(predictFeatures, { donate: [0], static: [2], precision }),
  predictTokens: jit(predictTokens, { static: [2], precision }),
  fillPositions: jit(fillPositions, { donate: [0], static: [2], precision }),
});

export const samplingPrograms = { bf16: programsOf('bf16'), fp32: programsOf('fp32') };

/** `commit` by itself, for predictions of which the host keeps some. Consumes the state. */
export const commitTokens = jit(commit, { donate: [0] });

/** Nothing known yet, the plan at its first row. */
export function initialState(images: number, config: TokenBridgeConfig): SamplingState {
  const positions = positionCount(config);
  const { channels } = config.latent;
  return {
    features: tf.fill([images, positions, config.backbone.decoder.width], 0), // made on the device, unlike tf.zeros
    tokens: tf.zeros([images, positions, channels], 'int32'),
    confidence: tf.zeros([images, positions]),
    row: tf.scalar(0, 'int32'),
  };
}

const stored = new WeakSet<TokenBridge>();

/** Whether `storeForSampling` made these parameters. */
export function isStoredForSampling(params: TokenBridge): boolean {
  return stored.has(params);
}

/**
 * The parameters with the weights that only products read, and the biases added to these, stored in bfloat16 where the
 * engine does so (xla): a batch of one image is bound by reading them. `generate` does this for each call at precision
 * `bf16`; do it once for many calls.
 *
 * @returns parameters for `generate`, which the caller disposes; the given ones stay as they are
 */
export function storeForSampling(params: TokenBridge): TokenBridge {
  const layers = new Set(
    Object.entries(flattenTree(params))
      .filter(([name, leaf]) => leaf.rank === 2 && name.endsWith('.weight') && !EMBEDDINGS.test(name))
      .map(([name]) => name.replace(/weight$/, '')),
  );
  const store = (leaf: tf.Tensor, name: string) =>
    layers.has(name.replace(/(weight|bias)$/, '')) ? storeBfloat16(leaf) : tf.clone(leaf);
  const own = tidyTree(() => mapTreeWithNames(store, params));
  stored.add(own);
  return own;
}

const EMBEDDINGS = /^(class_emb|token_embeddings)\b/;
