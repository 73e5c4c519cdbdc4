import { channelLogits, tokensToSymbols } from '@tb/ar-head';
import {
  drawMasking,
  gatherPositions,
  type MaskingCapacities,
  maskingCapacities,
  type RandomSource,
} from '@tb/backbone';
import { crossEntropy } from '@tb/nn';
import { disposeTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type MarEvaluation, marEvaluation } from './mar-loss.js';
import {
  type LossInputs,
  type LossOptions,
  latentsByPosition,
  maskedContext,
  type TrainingMasks,
} from './masked-context.js';
import {
  channelHeadConfig,
  type ImageModel,
  type ImageModelConfig,
  type MarConfig,
  modelOf,
  positionCount,
  type TokenModel,
} from './model.js';
import { dequantize, quantize } from './quantization.js';

// N = images, S = positions, M = masked positions (padded), R = N·M rows, C = channels, G = groups of channels,
// K = symbols of a group, Z = width of the backbone's features
//
// Training (Sec. 3.3). Some positions and some labels are hidden from the backbone; the head predicts the tokens at the
// hidden positions, and the loss is their cross-entropy: −ln of the factors of Eq. 7, averaged.

/**
 * Computes the training loss: the mean cross-entropy of the head's predictions at the masked positions (Sec. 3.3), or
 * for MAR their mean diffusion loss.
 *
 * It is pure and has static shapes, so it works inside `jit`, and so do its gradients.
 *
 * @returns scalar, in nats for TokenBridge
 * @throws Error if an input's shape does not fit the configuration
 */
export function loss(
  params: ImageModel,
  config: ImageModelConfig,
  inputs: LossInputs,
  options: LossOptions = {},
): tf.Scalar {
  return tf.tidy(() => {
    const model = modelOf(params, config);
    if (model.isMar) return marEvaluation(model, inputs, options).loss;
    const { crossEntropies, valid } = predictMasked(model, inputs, options);
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

/** Computes the loss and its parts; for MAR those of the diffusion loss. Takes what `loss` takes. */
export function evaluate<Config extends ImageModelConfig>(
  params: ImageModel,
  config: Config,
  inputs: LossInputs,
  options: LossOptions = {},
): Config extends MarConfig ? MarEvaluation : Evaluation {
  return tf.tidy(() => {
    const model = modelOf(params, config);
    return model.isMar ? marEvaluation(model, inputs, options) : tokenEvaluation(model, inputs, options);
  }) as Config extends MarConfig ? MarEvaluation : Evaluation;
}

/** The loss, its value for each group of channels, and the accuracy. */
function tokenEvaluation(model: TokenModel, inputs: LossInputs, options: LossOptions): Evaluation {
  const { crossEntropies, valid, correct } = predictMasked(model, inputs, options);
  const meanOverPositions = (values: tf.Tensor3D) => tf.div(tf.sum(tf.mul(values, valid), [0, 1]), tf.sum(valid));
  const lossByGroup = meanOverPositions(crossEntropies) as tf.Tensor1D;
  return { loss: tf.mean(lossByGroup), lossByGroup, accuracy: tf.mean(meanOverPositions(correct)) } as Evaluation;
}

/**
 * One forward pass. Per masked position and group [N, M, G]: the cross-entropy, and whether the likeliest symbol is the true
 * one; and which of the M places hold a position [N, M, 1].
 */
function predictMasked({ params, config }: TokenModel, inputs: LossInputs, options: LossOptions) {
  const { masked } = inputs.masks;
  const [images, places] = masked.shape;

  // Eq. 1–4: latents become tokens q. Eq. 5: the backbone reads their de-quantized values.
  const tokens = quantize(config.quantizer, latentsByPosition(inputs, config)); // [N, S, C]
  const values = dequantize(config.quantizer, tokens);

  // The backbone computes context features z from the visible positions and the label.
  const { features, valid, headDropout } = maskedContext(params, config, values, inputs, options);

  // Eq. 6: at each masked position the head predicts p(q^c | q^<c, z) for every group of channels.
  const head = channelHeadConfig(config);
  const maskedTokens = tf.reshape(gatherPositions(tokens, masked), [images * places, -1]) as tf.Tensor2D;
  const { rematerialize, observe } = options;
  const logits = channelLogits(params, head, features, maskedTokens, { rematerialize, observe, dropout: headDropout });
  observe?.('logits', logits); // [R, G, K]

  const symbols = tokensToSymbols(head, maskedTokens); // [R, G]
  const perImage = (all: tf.Tensor) => tf.reshape(all, [images, places, -1]) as tf.Tensor3D;
  return {
    crossEntropies: perImage(crossEntropy(logits, symbols)),
    correct: perImage(tf.cast(tf.equal(tf.argMax(logits, 2), symbols), 'float32')),
    valid,
  };
}

/**
 * Draws the masks of one batch as the reference does: one mask ratio, an order per image, and hidden labels.
 *
 * @param random - host generator; `uniform()` in [0, 1)
 * @param granularity - of the static shapes, see `drawMasking` of @tb/backbone
 */
export function drawTrainingMasks(
  random: RandomSource & { uniform(): number },
  config: ImageModelConfig,
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
  config: ImageModelConfig,
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
