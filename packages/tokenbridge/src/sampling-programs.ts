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
import { givenTensors, type KnownTokens } from './known-tokens.js';
import {
  backboneConfig,
  backboneOf,
  channelHeadConfig,
  type ImageModel,
  type ImageModelConfig,
  isMar,
  positionCount,
  type TokenBridge,
  type TokenBridgeConfig,
} from './model.js';
import { valuesOf } from './quantization.js';
import type { Plan } from './sampling-plan.js';

// N = images, S = positions, V = visible positions (padded), M = predicted positions (padded), C = channels,
// Z = width of the backbone's features
//
// The device's side of sampling: one step as two compiled functions. Their shapes vary independently (V of the first, M of the
// second), so there are as many programs as capacities, not as pairs of them. Everything that changes from step to step is
// in the state, whose memory each step hands on to the next: a GPU replays recorded kernels at once only if all addresses are
// those that it recorded. So a step returns nothing besides the state, however small, for which new memory would be allocated.

/** What sampling knows so far. Every step consumes one state and returns the next in the same memory. */
export type SamplingState = {
  /**
   * Context features of the step under way; float32 [N, S, Z]. For a diffusion head with guidance [2N, S, Z]: those without labels
   * follow those with labels.
   */
  features: tf.Tensor3D;
  /** In the latents' order of channels, int32 [N, S, C]; of MAR the values, float32; 0 where masked. */
  tokens: tf.Tensor3D;
  /** Probability of a position's tokens, as the geometric mean over its channels; [N, S], 0 where masked. */
  confidence: tf.Tensor2D;
  /** The plan's row of the next step, int32 scalar. */
  row: tf.Scalar;
};

/** What all steps of a run read. */
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

/** Static options of the program of the backbone. */
export type FeatureOptions = {
  config: ImageModelConfig;
  /** Mix the features with and without labels. */
  guided: boolean;
  /** V, at least the number of known positions and 1. */
  visibleCapacity: number;
};

/** Static options of the programs of the head. */
export type TokenOptions = {
  config: TokenBridgeConfig;
  /** Take the likeliest symbols. */
  greedy: boolean;
  firstPosition: FirstPosition;
  /** M, at least the number of positions to predict. */
  predictedCapacity: number;
};

/**
 * Computes the context features of all positions. With guidance the images go through the backbone twice, with and without
 * their labels, in one batch; the two features (not the logits) are mixed, as in the reference. For a diffusion head both stay:
 * it mixes the predicted noise. Consumes the state.
 */
function predictFeatures(
  state: SamplingState,
  params: ImageModel,
  { config, guided, visibleCapacity }: FeatureOptions,
  { plan, labels, unlabelled }: SamplingInputs,
): SamplingState {
  const { tokens, row } = state;
  const values = valuesOf(config, tokens);
  const visible = listsOf(plan.visible, row, visibleCapacity);
  const backbone = backboneConfig(config);
  const weights = backboneOf(params);
  if (!guided) return { ...state, features: applyBackbone(weights, backbone, { values, visible, labels, unlabelled }) };
  const both = applyBackbone(weights, backbone, {
    values: tf.concat([values, values], 0),
    visible: tf.concat([visible, visible], 0),
    labels: tf.concat([labels, labels], 0),
    unlabelled: tf.concat([unlabelled, tf.onesLike(unlabelled)], 0),
  });
  if (isMar(config)) return { ...state, features: both };
  const [labelled, free] = tf.split(both, 2, 0);
  const features = tf.add(free, tf.mul(tf.gather(plan.scales, row), tf.sub(labelled, free))) as tf.Tensor3D;
  return { ...state, features };
}

/** Tokens int32 [N, M, C] in the latents' order of channels, or values float32; and confidence [N, M]. */
export type Predicted = { tokens: tf.Tensor3D; confidence: tf.Tensor2D };

/** Draws the tokens of the step's positions. */
function predictTokens(
  { features, row }: SamplingState,
  params: TokenBridge,
  { config, greedy, firstPosition, predictedCapacity }: TokenOptions,
  { plan, noiseKeys, temperature }: SamplingInputs,
): Predicted {
  const selected = selectPositions(features, listsOf(plan.predicted, row, predictedCapacity)); // [N, M, Z]
  const keys = foldIn(noiseKeys, tf.gather(plan.steps, row));
  const draw = greedy ? 'greedy' : { temperature, keys };
  const sample = sampleChannels(params, channelHeadConfig(config), selected, { draw, firstPosition });
  return {
    tokens: sample.tokens,
    confidence: tf.exp(tf.div(sample.logProbability, config.latent.channels)) as tf.Tensor2D,
  };
}

/**
 * Puts predictions into the state, and moves on to the plan's next row.
 *
 * @param sources - for every position its place among the predictions, −1 to stay as it is; int32 [N, S]
 */
export function commitPredictions(state: SamplingState, predicted: Predicted, sources: tf.Tensor2D): SamplingState {
  const { features, tokens, confidence, row } = state;
  const isTaken = tf.cast(tf.greaterEqual(sources, tf.scalar(0, 'int32')), 'int32');
  const taken = tf.expandDims(tf.cast(isTaken, tokens.dtype), 2);
  const kept = tf.sub(tf.scalar(1, tokens.dtype as 'int32' | 'float32'), taken);
  const probabilities = gatherPositions(tf.expandDims(predicted.confidence, 2) as tf.Tensor3D, sources);
  return {
    features,
    tokens: tf.add(tf.mul(taken, gatherPositions(predicted.tokens, sources)), tf.mul(kept, tokens)),
    confidence: tf.add(confidence, tf.mul(tf.cast(isTaken, 'float32'), tf.squeeze(probabilities, [2]))),
    row: tf.add(row, tf.scalar(1, 'int32')),
  };
}

/** Draws the tokens of the step's positions and puts all of them into the state. Consumes the state. */
function fillPositions(
  state: SamplingState,
  params: TokenBridge,
  options: TokenOptions,
  inputs: SamplingInputs,
): SamplingState {
  const predicted = predictTokens(state, params, options, inputs);
  return commitPredictions(state, predicted, listsOf(inputs.plan.sources, state.row));
}

/** The first `length` entries of a plan's row, for every image: [N, length]. */
export function listsOf(lists: tf.Tensor3D, row: tf.Scalar, length = lists.shape[2]): tf.Tensor2D {
  const all = tf.gather<tf.Tensor>(lists, row) as tf.Tensor2D;
  return tf.slice(all, [0, 0], [-1, length]);
}

const programsOf = (precision: JitOptions['precision']) => ({
  predictFeatures: jit(predictFeatures, { donate: [0], static: [2], precision }),
  predictTokens: jit(predictTokens, { static: [2], precision }),
  fillPositions: jit(fillPositions, { donate: [0], static: [2], precision }),
});

/** The compiled functions by precision; the two are the same where the backend has no choice of it. */
export const samplingPrograms = { bf16: programsOf('bf16'), fp32: programsOf('fp32') };

/** What a preview reads of a state. */
export type PreviewTensors = {
  /** Latent values, 0 where masked; float32 [N, height, width, C]. */
  latents: tf.Tensor4D;
  /** [N, S]. */
  confidence: tf.Tensor2D;
};

/**
 * Reads tokens and confidences of a state. It does not consume them, so that the state keeps its memory.
 *
 * @param isKnown - 1 where a position is known, else 0; float32 [N, S]
 */
export const previewTensors = jit(
  (
    { tokens, confidence }: Pick<SamplingState, 'tokens' | 'confidence'>,
    isKnown: tf.Tensor2D,
    config: ImageModelConfig,
  ): PreviewTensors => {
    const { height, width, channels } = config.latent;
    const latents = tf.mul(valuesOf(config, tokens), tf.expandDims(isKnown, 2));
    return {
      latents: tf.reshape(latents, [tokens.shape[0], height, width, channels]),
      confidence: tf.mul(confidence, isKnown),
    };
  },
  { static: [2], name: 'preview' },
);

/** Compiled `commitPredictions`, for predictions of which the host keeps only some. Consumes the state. */
export const commitTokens = jit(commitPredictions, { donate: [0], name: 'commit' });

/** The state before the first step: nothing is known but given tokens, the plan is at its first row. */
export function initialState(
  images: number,
  config: ImageModelConfig,
  { known, guided }: { known?: KnownTokens; guided: boolean },
): SamplingState {
  const positions = positionCount(config);
  const { channels } = config.latent;
  const copies = isMar(config) && guided ? 2 : 1;
  return {
    features: tf.fill([copies * images, positions, config.backbone.decoder.width], 0), // made on the device, unlike tf.zeros
    ...(known && !isMar(config)
      ? givenTensors(known, images, config)
      : {
          tokens: tf.zeros([images, positions, channels], isMar(config) ? 'float32' : 'int32'),
          confidence: tf.zeros([images, positions]),
        }),
    row: tf.scalar(0, 'int32'),
  };
}

/** Parameters that `storeForSampling` made, for `generate` at precision `bf16`. Dispose them with `disposeTree`. */
export type StoredParameters<Params extends ImageModel = TokenBridge> = { bfloat16: Params };

/**
 * Stores in bfloat16 the weights that only products read, and the biases added to these, where the backend can (xla): the
 * speed of a small batch is bound by reading them. `generate` does this in each call at precision `bf16`; do it once for
 * many calls.
 *
 * @returns parameters for `generate`, which the caller disposes; the given ones stay as they are
 */
export function storeForSampling<Params extends ImageModel>(params: Params): StoredParameters<Params> {
  const layers = new Set(
    Object.entries(flattenTree(params as TokenBridge))
      .filter(([name, leaf]) => leaf.rank === 2 && name.endsWith('.weight') && !EMBEDDINGS.test(name))
      .map(([name]) => name.replace(/weight$/, '')),
  );
  const store = (leaf: tf.Tensor, name: string) =>
    layers.has(name.replace(/(weight|bias)$/, '')) ? storeBfloat16(leaf) : tf.clone(leaf);
  return { bfloat16: tidyTree(() => mapTreeWithNames(store, params as TokenBridge)) as Params };
}

const EMBEDDINGS = /^(class_emb|token_embeddings)\b/;
