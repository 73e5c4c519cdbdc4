import { type FirstPosition, sampleChannels } from '@tb/ar-head';
import { applyBackbone, gatherPositions, selectPositions } from '@tb/backbone';
import { foldIn, type JitOptions, jit, type Key, mapTree, storeBfloat16, type Tree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { backboneConfig, channelHeadConfig, type TokenBridgeConfig } from './config.js';
import type { TokenBridge } from './parameters.js';
import { dequantize } from './quantization.js';

// N = images, S = positions, V / P = capacities for visible and predicted positions, C = channels, E = feature width
//
// One step of sampling as three compiled functions. Their shapes vary independently (V of the first, P of the others), so
// there are as many programs as capacities, not as pairs of them.

export type FeatureOptions = {
  config: TokenBridgeConfig;
  /** Mix the features with and without labels. */
  guided: boolean;
};

export type FeatureInputs = {
  /** In the latents' order of channels, int32 [N, S, C]; read at visible positions only. */
  tokens: tf.Tensor3D;
  /** int32 [N, V], −1 for padding. */
  visible: tf.Tensor2D;
  /** int32 [N]. */
  labels: tf.Tensor1D;
  /** float32 [N], 1 for images without a label. */
  unlabelled: tf.Tensor1D;
  /** Guidance scale of this step; scalar. */
  scale: tf.Scalar;
};

/**
 * Context features of all positions [N, S, E]. With guidance the images go through the backbone twice, with and without
 * their labels, in one batch, and the two features (not the logits) are mixed, as in the reference.
 */
function predictFeatures(params: TokenBridge, { config, guided }: FeatureOptions, inputs: FeatureInputs): tf.Tensor3D {
  const { visible, labels, unlabelled, scale } = inputs;
  const values = dequantize(config.quantizer, inputs.tokens);
  const backbone = backboneConfig(config);
  if (!guided) return applyBackbone(params, backbone, { values, visible, labels, unlabelled });
  const both = applyBackbone(params, backbone, {
    values: tf.concat([values, values], 0),
    visible: tf.concat([visible, visible], 0),
    labels: tf.concat([labels, labels], 0),
    unlabelled: tf.concat([unlabelled, tf.onesLike(unlabelled)], 0),
  });
  const [labelled, free] = tf.split(both, 2, 0);
  return tf.add(free, tf.mul(scale, tf.sub(labelled, free))) as tf.Tensor3D;
}

export type TokenInputs = {
  features: tf.Tensor3D; // [N, S, E]
  /** int32 [N, P], −1 for padding. */
  positions: tf.Tensor2D;
  /** One key per image [N, 2]. */
  keys: Key;
  /** int32 scalar: another step draws other noise. */
  step: tf.Scalar;
  /** Not read when greedy; scalar. */
  temperature: tf.Scalar;
};

export type TokenOptions = { config: TokenBridgeConfig; greedy: boolean; firstPosition: FirstPosition };

/**
 * Draws the tokens of the given positions.
 *
 * @returns tokens int32 [N, P, C] in the latents' order of channels, and confidence float32 [N, P]: the probability that the
 *   model gives to a channel's token, as the geometric mean over the channels
 */
function predictTokens(params: TokenBridge, { config, greedy, firstPosition }: TokenOptions, inputs: TokenInputs) {
  const { features, positions, keys, step, temperature } = inputs;
  const selected = selectPositions(features, positions); // [N, P, E]
  const draw = greedy ? 'greedy' : { temperature, keys: foldIn(keys, step) };
  const sample = sampleChannels(params, channelHeadConfig(config), selected, { draw, firstPosition });
  const { channelOrder } = config;
  const inverseOrder = channelOrder.map((_, channel) => channelOrder.indexOf(channel));
  return {
    tokens: tf.gather(sample.tokens, inverseOrder, 2),
    confidence: tf.exp(tf.div(sample.logProbability, config.latent.channels)) as tf.Tensor2D,
  };
}

/** Both programs; where the engine has no choice of precision the same for either. */
const programsOf = (precision: JitOptions['precision']) => ({
  predictFeatures: jit(predictFeatures, { static: [1], precision }),
  predictTokens: jit(predictTokens, { static: [1], precision }),
});

export const samplingPrograms = { bf16: programsOf('bf16'), fp32: programsOf('fp32') };

/**
 * The parameters with what only products read stored in bfloat16, where the engine does so: a batch of one image is bound by
 * reading them. Others are clones.
 */
export function storedForProducts(params: TokenBridge): TokenBridge {
  const isProductWeight = (leaf: tf.Tensor, name: string) =>
    leaf.rank === 2 && name.endsWith('.weight') && !/^(class_emb|token_embeddings)\b/.test(name);
  const stored = mapTree(params as unknown as Tree<tf.Tensor>, (leaf, name) =>
    isProductWeight(leaf, name) ? storeBfloat16(leaf) : tf.clone(leaf),
  );
  return stored as unknown as TokenBridge;
}

/**
 * Writes predictions into the tokens, which it consumes.
 *
 * @param tokens - int32 [N, S, C]
 * @param predicted - int32 [N, P, C]
 * @param sources - for every position the row of `predicted` that it takes, −1 to stay as it is; int32 [N, S]
 */
export const commitTokens = jit(
  (tokens: tf.Tensor3D, predicted: tf.Tensor3D, sources: tf.Tensor2D) => {
    const taken = tf.expandDims(tf.cast(tf.greaterEqual(sources, tf.scalar(0, 'int32')), 'int32'), 2);
    const kept = tf.sub(tf.scalar(1, 'int32'), taken);
    return tf.add(tf.mul(taken, gatherPositions(predicted, sources)), tf.mul(kept, tokens)) as tf.Tensor3D;
  },
  { donate: [0] },
);
