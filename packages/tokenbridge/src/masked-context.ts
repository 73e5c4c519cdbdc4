import { applyBackbone, type Masking, type StackOptions, selectPositions } from '@tb/backbone';
import { assertShape, type Dropout } from '@tb/nn';
import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { backboneConfig, backboneOf, type ImageModel, type ImageModelConfig } from './model.js';

// N = images, S = positions, M = masked positions (padded), R = N·M rows, C = channels, Z = width of the backbone's features
//
// What the losses of both kinds of heads have in common: some positions and some labels are hidden from the backbone, and the
// head gets its features of the hidden positions.

/** Inputs of `loss` and `evaluate`: a batch of latents, their labels, and what is hidden of them. */
export type LossInputs = {
  /** Latents of the autoencoder times its `latentScale`, float32 [N, height, width, C]. */
  latents: tf.Tensor4D;
  /** int32 [N], each in [0, classes). */
  labels: tf.Tensor1D;
  masks: TrainingMasks;
  /** For MAR, one key per image, from which its timesteps and noise are drawn; int32 [N, 2]. */
  noiseKeys?: Key;
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

/** The latents as a list of positions, [N, S, C]. @throws Error if their shape does not fit the configuration */
export function latentsByPosition({ latents }: LossInputs, { latent }: ImageModelConfig): tf.Tensor3D {
  const { height, width, channels } = latent;
  const images = latents.shape[0];
  assertShape('loss', 'latents', latents, [images, height, width, channels]);
  return tf.reshape<tf.Rank.R3>(latents, [images, height * width, channels]);
}

/** What the head gets. */
type MaskedContext = {
  /** Context features of the masked positions [R, Z]. */
  features: tf.Tensor2D;
  /** 1 where one of the M places holds a position, 0 for padding; float32 [N, M, 1]. */
  valid: tf.Tensor3D;
  /** Dropout of the head; undefined in evaluation. */
  headDropout?: Dropout;
};

/**
 * Computes the context features of the masked positions.
 *
 * @param values - what the backbone sees of the latents [N, S, C]
 */
export function maskedContext(
  params: ImageModel,
  config: ImageModelConfig,
  values: tf.Tensor3D,
  { labels, masks }: LossInputs,
  { dropoutKey, rematerialize, observe }: LossOptions,
): MaskedContext {
  const { visible, masked, unlabelled } = masks;
  const [images, places] = [values.shape[0], masked.shape[1]];
  assertShape('loss', 'masks.masked', masked, [images, null]);
  const [dropout, headDropout] = dropoutOf(config, dropoutKey);
  const inputs = { values, visible, labels, unlabelled };
  const features = applyBackbone(backboneOf(params), backboneConfig(config), inputs, {
    rematerialize,
    observe,
    dropout,
  });
  observe?.('z', features); // [N, S, Z]
  return {
    features: tf.reshape(selectPositions(features, masked), [images * places, -1]) as tf.Tensor2D,
    valid: tf.expandDims(tf.cast(tf.greaterEqual(masked, tf.scalar(0, 'int32')), 'float32'), 2),
    headDropout,
  };
}

/** Dropout of the backbone and of the head, each with its own key. */
function dropoutOf({ training }: ImageModelConfig, key: Key | undefined): Dropout[] {
  if (!key) return [];
  const rates = { attention: training.attentionDropout, projection: training.projectionDropout };
  return splitKey(key, 2).map((partKey) => ({ ...rates, key: partKey }));
}
