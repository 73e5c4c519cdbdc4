import { channelLogits, tokensToSymbols } from '@tb/ar-head';
import {
  applyBackbone,
  drawMasking,
  gatherPositions,
  type Masking,
  type MaskingCapacities,
  maskingCapacities,
  type RandomSource,
  type StackOptions,
  selectPositions,
} from '@tb/backbone';
import { assertShape, crossEntropy } from '@tb/nn';
import { disposeTree, type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { backboneConfig, channelHeadConfig, positionCount, type TokenBridge, type TokenBridgeConfig } from './model.js';
import { dequantize, quantize } from './quantization.js';

// N = images, S = positions, M = masked positions (padded), R = N·M rows, C = channels, G = groups of channels,
// K = symbols of a group, Z = width of the backbone's features
//
// Training (Sec. 3.3). Some positions and some labels are hidden from the backbone; the head predicts the tokens at the
// hidden positions, and the loss is their cross-entropy: −ln of the factors of Eq. 7, averaged.

/** Inputs of `loss` and `evaluate`: a batch of latents, their labels, and what is hidden of them. */
export type LossInputs = {
  /** Latents of the autoencoder times its `latentScale`, float32 [N, height, width, C]. */
  latents: tf.Tensor4D;
  /** int32 [N], each in [0, classes). */
  labels: tf.Tensor1D;
  masks: TrainingMasks;
};

/** What a training step hides from the model. Drawn on the host, which chooses the static shapes. */
export type TrainingMasks = Masking & {
  /** 1 where the label is hidden, else 0; float32 [N]. */
  unlabelled: tf.Tensor1D;
};

/** Options of `loss` and `evaluate`. */
export type LossOptions = {
  /** Given in training, for dropout at the configuration's rates; left out in evaluation. */
  dropoutKey?: Key;
  /** Keep each block's input only, and compute its inside again for the gradient: less memory, about a third more time. */
  rematerialize?: boolean;
  /** Called with intermediate results and their official names. The tensor lives as long as the caller's scope. */
  observe?: StackOptions['observe'];
};

/**
 * Computes the training loss: the mean cross-entropy of the head's predictions at the masked positions (Sec. 3.3).
 *
 * It is pure and has static shapes, so it works inside `jit`, and so do its gradients.
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
    const { crossEntropies, valid } = predictMasked(params, config, inputs, options);
    const groups = crossEntropies.shape[2];
    return tf.div(tf.sum(tf.mul(crossEntropies, valid)), tf.mul(tf.sum(valid), groups));
  });
}

/** What `evaluate` measures on a batch. */
export type Evaluation = {
  /** Mean cross-entropy over masked positions and groups, in nats; scalar. */
  loss: tf.Scalar;
  /** Mean cross-entropy of each group over masked positions, in the head's order [G]. */
  lossByGroup: tf.Tensor1D;
  /** Share of groups whose likeliest symbol is the true one; scalar. */
  accuracy: tf.Scalar;
};

/** Computes the loss, its value for each group of channels, and the accuracy. Takes what `loss` takes. */
export function evaluate(
  params: TokenBridge,
  config: TokenBridgeConfig,
  inputs: LossInputs,
  options: LossOptions = {},
): Evaluation {
  return tf.tidy(() => {
    const { crossEntropies, valid, correct } = predictMasked(params, config, inputs, options);
    const meanOverPositions = (values: tf.Tensor3D) => tf.div(tf.sum(tf.mul(values, valid), [0, 1]), tf.sum(valid));
    const lossByGroup = meanOverPositions(crossEntropies) as tf.Tensor1D;
    return { loss: tf.mean(lossByGroup), lossByGroup, accuracy: tf.mean(meanOverPositions(correct)) } as Evaluation;
  });
}

/**
 * One forward pass. Per masked position and group [N, M, G]: the cross-entropy, and whether the likeliest symbol is the true
 * one; and which of the M places hold a position [N, M, 1].
 */
function predictMasked(
  params: TokenBridge,
  config: TokenBridgeConfig,
  { latents, labels, masks }: LossInputs,
  { dropoutKey, ...options }: LossOptions,
) {
  const { height, width, channels } = config.latent;
  const { visible, masked, unlabelled } = masks;
  const [images, places] = [latents.shape[0], masked.shape[1]];
  assertShape('loss', 'latents', latents, [images, height, width, channels]);
  assertShape('loss', 'masks.masked', masked, [images, null]);
  const [backboneDropout, headDropout] = dropoutOf(config, dropoutKey);

  // Eq. 1–4: latents become tokens q. Eq. 5: the backbone reads their de-quantized values.
  const tokens = quantize(config.quantizer, tf.reshape<tf.Rank.R3>(latents, [images, height * width, channels])); // [N, S, C]
  const values = dequantize(config.quantizer, tokens);

  // The backbone computes context features z from the visible positions and the label.
  const inputs = { values, visible, labels, unlabelled };
  const features = applyBackbone(params, backboneConfig(config), inputs, { ...options, dropout: backboneDropout });
  options.observe?.('z', features); // [N, S, Z]

  // Eq. 6: at each masked position the head predicts p(q^c | q^<c, z) for every group of channels.
  const rows = images * places;
  const head = channelHeadConfig(config);
  const maskedFeatures = tf.reshape(selectPositions(features, masked), [rows, -1]) as tf.Tensor2D;
  const maskedTokens = tf.reshape(gatherPositions(tokens, masked), [rows, channels]) as tf.Tensor2D;
  const logits = channelLogits(params, head, maskedFeatures, maskedTokens, { ...options, dropout: headDropout });
  options.observe?.('logits', logits); // [R, G, K]

  const symbols = tokensToSymbols(head, maskedTokens); // [R, G]
  const perImage = (values: tf.Tensor) => tf.reshape(values, [images, places, -1]) as tf.Tensor3D;
  return {
    crossEntropies: perImage(crossEntropy(logits, symbols)),
    correct: perImage(tf.cast(tf.equal(tf.argMax(logits, 2), symbols), 'float32')),
    valid: tf.expandDims(tf.cast(tf.greaterEqual(masked, tf.scalar(0, 'int32')), 'float32'), 2),
  };
}

/** Dropout of the backbone and of the head, each with its own key. */
function dropoutOf({ training }: TokenBridgeConfig, key: Key | undefined) {
  if (!key) return [];
  const rates = { attention: training.attentionDropout, projection: training.projectionDropout };
  return splitKey(key, 2).map((partKey) => ({ ...rates, key: partKey }));
}

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

/**
 * Makes masks of all shapes that `drawTrainingMasks` may draw, with lists that are empty: for compiling ahead of need. First are
 * those that it would draw from `random`, then the likeliest. Takes what `drawTrainingMasks` takes.
 */
export function exampleTrainingMasks(
  random: RandomSource & { uniform(): number },
  config: TokenBridgeConfig,
  images: number,
  granularity?: number,
): TrainingMasks[] {
  const drawn = drawTrainingMasks(random, config, images, granularity);
  const [, first] = drawn.masked.shape;
  disposeTree(drawn);
  const options = { positions: positionCount(config), minimumRatio: config.training.minimumMaskRatio, granularity };
  const capacities = maskingCapacities(options);
  const isFirst = ({ masked }: MaskingCapacities) => masked === first;
  const sorted = [...capacities.filter(isFirst), ...capacities.filter((capacity) => !isFirst(capacity))];
  return sorted.map(({ visible, masked }) => ({
    visible: tf.fill<tf.Rank.R2>([images, visible], -1, 'int32'),
    masked: tf.fill<tf.Rank.R2>([images, masked], -1, 'int32'),
    unlabelled: tf.fill<tf.Rank.R1>([images], 0),
  }));
}
