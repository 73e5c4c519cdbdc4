import { foldIn, type JitOptions, jit, type Key, type Tree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type AdamWOptions, type AdamWState, applyAdamW, initAdamW, type Parameters } from './optimizer/adamw.js';
import { updateEma } from './optimizer/ema.js';
import { clipByGlobalNorm, type LossResult, valueAndGradients } from './optimizer/gradients.js';
import { mapTrees } from './optimizer/map-trees.js';

/** All that training changes. */
export type TrainState = {
  params: Parameters;
  /** Exponential moving average of the parameters. */
  ema: Parameters;
  optimizer: AdamWState;
};

/** The state before the first step; takes over `params`. */
export function initTrainState(params: Parameters): TrainState {
  const ema = mapTrees([params], ([value]) => tf.mul(value, 1)); // memory of its own: the step donates both
  return { params, ema, optimizer: initAdamW(params) };
}

/**
 * What is minimized. Pure and traceable.
 *
 * @param frozen - tensors that are read and not trained
 * @param key - the step's own random key
 */
export type LossFunction = (
  params: Parameters,
  frozen: Tree<tf.Tensor>,
  batch: Tree<tf.Tensor>,
  key: Key,
) => LossResult;

export type TrainStepOptions = {
  adamw: AdamWOptions;
  /** Largest norm of all gradients together. */
  clipNorm: number;
  emaRate: number;
  precision?: JitOptions['precision'];
};

/** Small tensors of one step: its learning rate, its number (int32), and the run's random key. */
export type StepInputs = { learningRate: tf.Scalar; step: tf.Scalar; runKey: Key };

/**
 * One whole training step as one program: forward, backward, clipping, AdamW and moving average. The state passed in is
 * consumed. Where loss or gradients are not finite the state comes back unchanged.
 */
export function createTrainStep(loss: LossFunction, options: TrainStepOptions) {
  const trainStep = (
    state: TrainState,
    frozen: Tree<tf.Tensor>,
    batch: Tree<tf.Tensor>,
    { learningRate, step, runKey }: StepInputs,
  ): { state: TrainState; metrics: Record<string, tf.Scalar> } => {
    const key = foldIn(runKey, step);
    const result = valueAndGradients((params) => loss(params, frozen, batch, key), state.params);
    const { gradients, norm } = clipByGlobalNorm(result.gradients, options.clipNorm);
    const next = applyAdamW(state.params, gradients, state.optimizer, learningRate, options.adamw);
    const updated = {
      params: next.params,
      ema: updateEma(state.ema, next.params, options.emaRate),
      optimizer: next.state,
    };
    const finite = tf.isFinite(tf.add(result.loss, norm));
    const chosen = mapTrees([updated, state], ([after, before]) => tf.where(finite, after, before));
    return {
      state: chosen as unknown as TrainState,
      metrics: { loss: result.loss, gradientNorm: norm, ...result.metrics },
    };
  };
  return jit(trainStep, { donate: [0], precision: options.precision });
}
