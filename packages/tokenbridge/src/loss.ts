import { channelLogits, tokensToClasses } from '@tb/ar-head';
import {
  applyBackbone,
  drawMasking,
  gatherPositions,
  type Masking,
  type RandomSource,
  type StackOptions,
  selectPositions,
} from '@tb/backbone';
import { assertShape, crossEntropy } from '@tb/nn';
import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { backboneConfig, channelHeadConfig, positionCount, type TokenBridgeConfig } from './config.js';
import type { TokenBridge } from './parameters.js';
import { dequantize, quantize } from './quantization.js';

// N = images, h, w = height and width of the latent grid, S = h·w positions, M = capacity for masked positions,
// V = capacity for visible positions, C = channels, G = groups of channels, K = classes of a group, E = feature width

/** What a training step hides from the model: positions and labels. Drawn on the host, where the static shapes are chosen. */
export type TrainingMasks = Masking & {
  /** 1 where the label is hidden, else 0; float32 [N]. */
  unlabelled: tf.Tensor1D;
};

/**
 * Draws the masks of one batch as the reference does: one mask ratio, an order per image, and hidden labels.
 *
 * @param random - host generator; `uniform()` in [0, 1)
 * @param granularity - of the static shapes, see `drawMasking` of @tb/backbone
 */
export function drawTrainingMasks(
  random: RandomSource & { uniform(): number },
  config: TokenBridgeConfig,
  images: number,
  granularity?: number,
): TrainingMasks {
  const { minimumMaskRatio, labelDropout } = config.training;
  const positions = positionCount(config);
  const masking = drawMasking(random, { images, positions, minimumRatio: minimumMaskRatio, granularity });
  const hidden = Float32Array.from({ length: images }, () => (random.uniform() < labelDropout ? 1 : 0));
  return { ...masking, unlabelled: tf.tensor1d(hidden) };
}

export type LossInputs = {
  /** VAE latents × 0.2325, float32 [N, h, w, C]. */
  latents: tf.Tensor4D;
  /** int32 [N], each in [0, classes). */
  labels: tf.Tensor1D;
  masks: TrainingMasks;
};

export type LossOptions = {
  /** Given in training, for dropout at the configuration's rates; left out in evaluation. */
  dropoutKey?: Key;
  /** Keep each block's input only and compute its inside again for the gradient: less memory, about a third more time. */
  rematerialize?: boolean;
  /** Called with intermediate results and their official names. The tensor lives as long as the caller's scope. */
  observe?: StackOptions['observe'];
};

export type Evaluation = {
  /** Mean cross-entropy over masked positions and groups, in nats; scalar. */
  loss: tf.Scalar;
  /** The same for each group, in the head's order [G]. */
  lossByGroup: tf.Tensor1D;
  /** Share of groups whose likeliest class is the true one; scalar. */
  accuracy: tf.Scalar;
};

/**
 * The training loss: cross-entropy of the head's predictions at the masked positions (Sec. 3.3).
 *
 * Pure and of static shapes, so it can stand inside `jit` with its gradients.
 *
 * @returns scalar, in nats
 * @throws Error if an input's shape does not fit the configuration
 */
export function loss(
  params: TokenBridge,
  config: TokenBridgeConfig,
  inputs: LossInputs,
  options: LossOptions = {},
): tf.Scalar {
  return tf.tidy(() => {
    const { surprise, valid } = predictMasked(params, config, inputs, options);
    const groups = surprise.shape[2];
    return tf.div(tf.sum(tf.mul(surprise, valid)), tf.mul(tf.sum(valid), groups));
  });
}

/** The loss and what else its forward pass tells. */
export function evaluate(
  params: TokenBridge,
  config: TokenBridgeConfig,
  inputs: LossInputs,
  options: LossOptions = {},
): Evaluation {
  return tf.tidy(() => {
    const { surprise, valid, correct } = predictMasked(params, config, inputs, options);
    const meanOverPositions = (each: tf.Tensor3D) => tf.div(tf.sum(tf.mul(each, valid), [0, 1]), tf.sum(valid));
    const lossByGroup = meanOverPositions(surprise) as tf.Tensor1D;
    return { loss: tf.mean(lossByGroup), lossByGroup, accuracy: tf.mean(meanOverPositions(correct)) } as Evaluation;
  });
}

/** Per masked position and group: cross-entropy and whether the likeliest class is right [N, M, G]; validity [N, M, 1]. */
function predictMasked(
  params: TokenBridge,
  config: TokenBridgeConfig,
  { latents, labels, masks }: LossInputs,
  options: LossOptions,
) {
  const { height, width, channels } = config.latent;
  const images = latents.shape[0];
  assertShape('loss', 'latents', latents, [images, height, width, channels]);
  assertShape('loss', 'masks.masked', masks.masked, [images, null]);
  const { visible, masked, unlabelled } = masks;
  const { dropoutKey, ...rest } = options;
  const rates = { attention: config.training.attentionDropout, projection: config.training.projectionDropout };
  const [backboneDropout, headDropout] = dropoutKey
    ? splitKey(dropoutKey, 2).map((key) => ({ ...rates, key }))
    : [undefined, undefined];

  const indices = quantize(config.quantizer, tf.reshape<tf.Rank.R3>(latents, [images, height * width, channels])); // [N, S, C]
  const values = dequantize(config.quantizer, indices);
  const backboneOptions = { ...rest, dropout: backboneDropout };
  const inputs = { values, visible, labels, unlabelled };
  const features = applyBackbone(params, backboneConfig(config), inputs, backboneOptions); // [N, S, E]
  options.observe?.('z', features);

  const rows = images * masked.shape[1];
  const ordered = tf.gather(indices, [...config.channelOrder], 2) as tf.Tensor3D; // [N, S, C] in the head's order
  const targets = tf.reshape(gatherPositions(ordered, masked), [rows, channels]) as tf.Tensor2D;
  const maskedFeatures = tf.reshape(selectPositions(features, masked), [rows, -1]) as tf.Tensor2D;
  const head = channelHeadConfig(config);
  const logits = channelLogits(params, head, maskedFeatures, targets, { ...rest, dropout: headDropout }); // [N·M, G, K]
  options.observe?.('logits', logits);

  const classes = tokensToClasses(targets, head.levels, head.groupSize); // [N·M, G]
  const perMasked = (each: tf.Tensor) => tf.reshape(each, [images, masked.shape[1], -1]) as tf.Tensor3D;
  const valid = tf.cast(tf.greaterEqual(masked, tf.scalar(0, 'int32')), 'float32');
  return {
    surprise: perMasked(crossEntropy(logits, classes)),
    correct: perMasked(tf.cast(tf.equal(tf.argMax(logits, 2), classes), 'float32')),
    valid: tf.expandDims(valid, 2),
  };
}
