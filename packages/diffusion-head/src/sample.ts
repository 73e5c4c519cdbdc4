import { assertShape } from '@tb/nn';
import { foldIn, type Key, normal, storeFloat32 } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type DiffusionHead, embedFeatures, embedTimesteps, type Prediction, predictNoise } from './diffusion-head.js';
import { predictedPosterior, tableReader } from './posterior.js';
import { noiseSchedule } from './schedule.js';
import { positionKeys } from './training-noise.js';

// N = images, M = predicted positions, R = rows (the positions of all images), C = channels, Z = width of the backbone's
// features, D = width of the network
//
// Sampling: noise is denoised step by step, from the schedule's last step to its first. `denoise` does some of the steps and
// keeps everything that changes in its state, so that a compiled program can do ten of a hundred steps and be called ten times.

/** What sampling has made so far. */
export type DenoisingState = {
  /** Noisy values [R, C]; after the last step the sample. */
  values: tf.Tensor2D;
  /** Steps that remain, int32 scalar. */
  remaining: tf.Scalar;
};

/** What all steps of a sample read. */
export type DenoisingCondition = {
  /** Embedded context features [R, D]; with guidance followed by those without label [2R, D]. */
  features: tf.Tensor2D;
  /** Embeddings of the timesteps of all steps [steps, D]. */
  timesteps: tf.Tensor2D;
};

/**
 * Computes what does not change from step to step.
 *
 * @param features - context features [R, Z]; with guidance followed by those without label [2R, Z]
 * @param steps - sampling steps, in [2, 1000]
 */
export function conditionOnFeatures(params: DiffusionHead, features: tf.Tensor2D, steps: number): DenoisingCondition {
  return tf.tidy(() => ({
    features: embedFeatures(params, features),
    timesteps: embedTimesteps(params, tf.tensor1d([...noiseSchedule(steps).timesteps])),
  }));
}

/** How `denoise` samples. */
export type DenoisingSettings = {
  /** Steps of the complete sample, in [2, 1000]; MAR's default is 100. */
  steps: number;
  /** Steps of this call; default: all. */
  count?: number;
  /** The guidance scale, a number or scalar; without it the features are only those with label. */
  guidanceScale?: number | tf.Scalar;
  /** Factor of the noise that each step adds; default 1. A number or scalar. */
  temperature?: number | tf.Scalar;
  /**
   * Standard normal noise of step `step` [R, C]; an int32 scalar that counts down to 0. It is asked for before every step. The
   * noise of step 0 is not used.
   */
  noise: (step: tf.Scalar) => tf.Tensor2D;
};

/**
 * Does some steps of denoising (Ho et al. 2020, with the learned variance of Nichol & Dhariwal 2021). With guidance the predicted
 * noise is mixed from those with and without label, and the variance is that with label, as in the reference.
 *
 * @returns the state after the steps
 * @throws Error if a shape does not fit
 */
export function denoise(
  params: DiffusionHead,
  state: DenoisingState,
  condition: DenoisingCondition,
  settings: DenoisingSettings,
): DenoisingState {
  const { steps, count = steps, guidanceScale } = settings;
  const copies = guidanceScale === undefined ? 1 : 2;
  assertShape('denoise', 'condition.features', condition.features, [copies * state.values.shape[0], null]);
  assertShape('denoise', 'condition.timesteps', condition.timesteps, [steps, null]);
  return tf.tidy(() => {
    let next = state;
    for (let done = 0; done < count; done++) next = denoiseOnce(params, next, condition, settings);
    return { values: tf.clone(next.values), remaining: tf.clone(next.remaining) };
  });
}

/** One step: x_t to x_{t−1}. */
function denoiseOnce(
  params: DiffusionHead,
  { values, remaining }: DenoisingState,
  condition: DenoisingCondition,
  { steps, guidanceScale, temperature = 1, noise }: DenoisingSettings,
): DenoisingState {
  const step = tf.sub(remaining, tf.scalar(1, 'int32')) as tf.Scalar;
  const time = tf.expandDims(tf.gather<tf.Tensor>(condition.timesteps, step), 0);
  const predicted = predictGuided(params, values, tf.add(condition.features, time) as tf.Tensor2D, guidanceScale);
  const { mean, logVariance } = predictedPosterior(tableReader(noiseSchedule(steps), step), values, predicted);
  const isLast = tf.cast(tf.equal(step, tf.scalar(0, 'int32')), 'float32');
  const deviation = tf.mul(tf.exp(tf.mul(logVariance, 0.5)), tf.mul(temperature, tf.sub(1, isLast)));
  return { values: storeFloat32(tf.add(mean, tf.mul(deviation, noise(step))) as tf.Tensor2D), remaining: step };
}

function predictGuided(
  params: DiffusionHead,
  values: tf.Tensor2D,
  condition: tf.Tensor2D,
  guidanceScale: DenoisingSettings['guidanceScale'],
): Prediction {
  if (guidanceScale === undefined) return predictNoise(params, values, condition);
  const { noise, variance } = predictNoise(params, tf.concat([values, values], 0), condition);
  const [labelled, free] = tf.split(noise, 2, 0);
  return {
    noise: tf.add(free, tf.mul(guidanceScale, tf.sub(labelled, free))),
    variance: tf.split<tf.Tensor2D>(variance, 2, 0)[0],
  };
}

/** Standard normal noise of one sample, by the images' keys. */
export type SampleNoise = {
  /** What sampling starts from [R, C]. */
  start: tf.Tensor2D;
  /** See `DenoisingSettings`. */
  step: (step: tf.Scalar) => tf.Tensor2D;
};

/**
 * Draws the noise of a sample.
 *
 * @param keys - one per image [N, 2]: the noise of an image depends only on its own key
 * @param positions - M; more of them do not change the noise of the first
 */
export function drawSampleNoise(keys: Key, positions: number, channels: number): SampleNoise {
  const draw = (stepKeys: Key) =>
    normal(positionKeys(stepKeys, positions), [keys.shape[0] * positions, channels]) as tf.Tensor2D;
  const laterKeys = foldIn(keys, 1);
  return { start: draw(foldIn(keys, 0)), step: (step) => draw(foldIn(laterKeys, step)) };
}

/** Options of `sampleValues`. */
export type SampleValuesOptions = {
  /** One key per image [N, 2]: the noise of an image depends only on its own key. */
  keys: Key;
  /** Steps, in [2, 1000]; default 100, as MAR samples. */
  steps?: number;
  /** Factor of the noise that each step adds; default 1. */
  temperature?: number;
  /** Features of the same positions without label [N, M, Z], and the guidance scale. */
  guidance?: { features: tf.Tensor3D; scale: number };
};

/**
 * Samples the values of positions: all steps in one call.
 *
 * @param features - context features [N, M, Z]
 * @returns float32 [N, M, C], in the units of the values that the head was trained on
 * @throws RangeError if `steps` is out of range; Error if a shape does not fit the parameters
 */
export function sampleValues(
  params: DiffusionHead,
  features: tf.Tensor3D,
  { keys, steps = 100, temperature = 1, guidance }: SampleValuesOptions,
): tf.Tensor3D {
  const [images, positions] = features.shape;
  const channels = params.net.input_proj.weight.shape[1]!;
  assertShape('sampleValues', 'keys', keys, [images, 2]);
  if (guidance) assertShape('sampleValues', 'guidance.features', guidance.features, features.shape);
  return tf.tidy(() => {
    const all = guidance ? tf.concat([features, guidance.features], 0) : features;
    const condition = conditionOnFeatures(params, tf.reshape<tf.Rank.R2>(all, [-1, features.shape[2]]), steps);
    const noise = drawSampleNoise(keys, positions, channels);
    const state = { values: noise.start, remaining: tf.scalar(steps, 'int32') };
    const settings = { steps, temperature, guidanceScale: guidance?.scale, noise: noise.step };
    return tf.reshape(denoise(params, state, condition, settings).values, [images, positions, channels]);
  });
}
