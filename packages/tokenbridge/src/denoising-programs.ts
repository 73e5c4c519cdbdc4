import { selectPositions } from '@tb/backbone';
import {
  conditionOnFeatures,
  type DenoisingCondition,
  type DiffusionHead,
  denoise,
  drawSampleNoise,
} from '@tb/diffusion-head';
import { disposeTree, foldIn, type JitOptions, jit, type Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { Mar, MarConfig } from './model.js';
import { commitPredictions, listsOf, type SamplingInputs, type SamplingState } from './sampling-programs.js';

// N = images, S = positions, M = predicted positions (padded), R = N·M rows, C = channels
//
// The device's side of a sampling step with a diffusion head. All denoising steps in one program would take a compiler minutes, so
// a program does some of them and is called several times. Everything that changes is in its state, as in sampling-programs.ts.

/** Static options of the programs. */
export type DenoisingOptions = {
  config: MarConfig;
  /** Features with and without labels are in the state. */
  guided: boolean;
  /** M, at least the number of positions to predict. */
  predictedCapacity: number;
  /** Steps of denoising. */
  denoisingSteps: number;
};

/** Noisy values [R, C] and the steps that remain. */
type Denoising = { values: tf.Tensor2D; remaining: tf.Scalar };

/** What all denoising steps of a sampling step read. */
type Denoised = {
  condition: DenoisingCondition;
  /** One key per image, for this step [N, 2]. */
  keys: Key;
  guidanceScale: tf.Scalar;
};

/** Picks the features of the step's positions, with guidance those of both kinds [2R, Z], and draws the first noise. */
function startDenoising(
  { features, row }: SamplingState,
  { diffloss }: Pick<Mar, 'diffloss'>,
  { config, guided, predictedCapacity, denoisingSteps }: DenoisingOptions,
  { plan, noiseKeys }: SamplingInputs,
): { denoising: Denoising; read: Denoised } {
  const predicted = listsOf(plan.predicted, row, predictedCapacity);
  const lists = guided ? tf.concat([predicted, predicted], 0) : predicted;
  const selected = tf.reshape<tf.Rank.R2>(selectPositions(features, lists), [-1, features.shape[2]]);
  const keys = foldIn(noiseKeys, tf.gather(plan.steps, row));
  const { start } = drawSampleNoise(keys, predictedCapacity, config.latent.channels);
  return {
    denoising: { values: start, remaining: tf.scalar(denoisingSteps, 'int32') },
    read: {
      condition: conditionOnFeatures(diffloss, selected, denoisingSteps),
      keys,
      guidanceScale: tf.gather<tf.Tensor>(plan.scales, row) as tf.Scalar,
    },
  };
}

/** Does some steps of denoising. Consumes the state. */
function continueDenoising(
  denoising: Denoising,
  diffloss: DiffusionHead,
  { count, guided, config, predictedCapacity, denoisingSteps }: DenoisingOptions & { count: number },
  { condition, keys, guidanceScale }: Denoised,
  temperature: tf.Scalar,
): Denoising {
  return denoise(diffloss, denoising, condition, {
    steps: denoisingSteps,
    count,
    temperature,
    guidanceScale: guided ? guidanceScale : undefined,
    noise: drawSampleNoise(keys, predictedCapacity, config.latent.channels).step,
  });
}

/** Puts the values into the state. Consumes the state. */
function commitValues(
  state: SamplingState,
  { values }: Denoising,
  { plan }: SamplingInputs,
  { predictedCapacity }: DenoisingOptions,
): SamplingState {
  const images = state.tokens.shape[0];
  const predicted = {
    tokens: tf.reshape<tf.Rank.R3>(values, [images, predictedCapacity, -1]),
    confidence: tf.ones([images, predictedCapacity]) as tf.Tensor2D,
  };
  return commitPredictions(state, predicted, listsOf(plan.sources, state.row));
}

const programsOf = (precision: JitOptions['precision']) => ({
  start: jit(startDenoising, { static: [2], precision, name: 'start of denoising' }),
  continue: jit(continueDenoising, { donate: [0], static: [2], precision, name: 'denoising' }),
  commit: jit(commitValues, { donate: [0], static: [3], precision, name: 'denoised values' }),
});

const programs = { bf16: programsOf('bf16'), fp32: programsOf('fp32') };

/** Samples the values of the step's positions and puts all of them into the state. Consumes the state. */
export function fillByDenoising(
  state: SamplingState,
  params: Mar,
  options: DenoisingOptions,
  inputs: SamplingInputs,
  precision: 'bf16' | 'fp32',
): SamplingState {
  const { diffloss } = params;
  const { start, continue: next, commit } = programs[precision];
  const count = stepsPerCall(options.denoisingSteps);
  const started = start(state, { diffloss }, options, inputs);
  let { denoising } = started;
  try {
    for (let done = 0; done < options.denoisingSteps; done += count)
      denoising = next(denoising, diffloss, { ...options, count }, started.read, inputs.temperature);
    return commit(state, denoising, inputs, options);
  } finally {
    disposeTree([denoising, started.read]);
  }
}

/** The largest divisor up to ten, so that one program serves all calls. */
function stepsPerCall(steps: number): number {
  for (let count = 10; count > 1; count--) if (steps % count === 0) return count;
  return 1;
}
