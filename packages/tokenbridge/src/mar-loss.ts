import { gatherPositions } from '@tb/backbone';
import { diffusionLoss, drawTrainingNoise } from '@tb/diffusion-head';
import * as tf from '@tensorflow/tfjs-core';
import { type LossInputs, type LossOptions, latentsByPosition, maskedContext } from './masked-context.js';
import type { MarModel } from './model.js';

// N = images, S = positions, M = masked positions (padded), C = channels, Z = width of the backbone's features, R = rows: N·M
// positions, each with some timesteps
//
// Training of MAR (Li et al. 2024). As in TokenBridge some positions are hidden; the head denoises the latents there, each at
// several timesteps.

/** What `evaluate` measures of a MAR model; scalars. */
export type MarEvaluation = {
  /** Mean over masked positions and timesteps of the two terms' sum. */
  loss: tf.Scalar;
  /** Mean squared error of the predicted noise. */
  squaredError: tf.Scalar;
  /** The variational bound's terms, in bits a channel. */
  variationalBound: tf.Scalar;
};

/** Timesteps and noise of every masked position: a position's rows follow one another. */
export type TrainingNoise = {
  timesteps: tf.Tensor1D; // int32 [R]
  noise: tf.Tensor2D; // [R, C]
};

/** Computes the diffusion loss at the masked positions. @throws Error if `noiseKeys` is missing or a shape does not fit */
export function marEvaluation(model: MarModel, inputs: LossInputs, options: LossOptions): MarEvaluation {
  const { noiseKeys, masks } = inputs;
  const { latent, head } = model.config;
  if (!noiseKeys) throw new Error('loss: noiseKeys must be given for a model with a diffusion head');
  const { timestepsPerPosition } = head;
  const shape = { positions: masks.masked.shape[1], timestepsPerPosition, channels: latent.channels };
  return marTerms(model, inputs, drawTrainingNoise(noiseKeys, shape), options);
}

/** The same with given timesteps and noise. */
export function marTerms(
  { params, config }: MarModel,
  inputs: LossInputs,
  { timesteps, noise }: TrainingNoise,
  options: LossOptions,
): MarEvaluation {
  const { timestepsPerPosition } = config.head;
  const values = latentsByPosition(inputs, config);
  const { features, valid } = maskedContext(params, config, values, inputs, options);
  const perTimestep = (rows: tf.Tensor): tf.Tensor2D => {
    const flat = tf.reshape(rows, [-1, 1, rows.shape.at(-1)!]);
    return tf.reshape(tf.tile(flat, [1, timestepsPerPosition, 1]), [-1, rows.shape.at(-1)!]);
  };
  const terms = diffusionLoss(
    params.diffloss,
    {
      values: perTimestep(gatherPositions(values, inputs.masks.masked)),
      features: perTimestep(features),
      timesteps,
      noise,
    },
    options,
  );
  const isValid = tf.reshape(perTimestep(valid), [-1]);
  const mean = (rows: tf.Tensor1D): tf.Scalar => tf.div(tf.sum(tf.mul(rows, isValid)), tf.sum(isValid));
  return {
    loss: mean(terms.loss),
    squaredError: mean(terms.squaredError),
    variationalBound: mean(terms.variationalBound),
  };
}
