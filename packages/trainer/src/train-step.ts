import { foldIn, type JitOptions, jit, type Key, mapTree, type Tree, tidyTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type AdamWOptions, type AdamWState, applyAdamW, initAdamW, type Parameters } from './optimizer/adamw.js';
import { updateEma } from './optimizer/ema.js';
import { clipByGlobalNorm, type LossResult, valueAndGradients } from './optimizer/gradients.js';

/** All that training changes. */
export type TrainState = {
  params: Parameters;
  /** Exponential moving average of the parameters. */
  ema: Parameters;
  optimizer: AdamWState;
};

/** The state before the first step; takes over `params`, unless it throws. */
export function initTrainState(params: Parameters): TrainState {
  return tidyTree(() => {
    const ema = mapTree((value) => tf.mul(value, 1), params); // memory of its own: the step donates both
    return { params, ema, optimizer: initAdamW(params) };
  });
}

/**
 * What is minimized. Pure and traceable. Loss and metrics are means over the pictures of the batch, so that the mean over
 * equal parts of a batch is that of the whole.
 *
 * @param frozen - tensors that are read and not trained
 * @param key - the step's own random key; where a batch is cut, each part has its own
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
  /** Share of the moving average that stays at each step, in [0, 1]; Tab. 4: 0.9999. */
  emaRate: number;
  /** Of matrix products and convolutions, where the engine has a choice. */
  precision?: JitOptions['precision'];
};

/** Small tensors of one step: its learning rate, its number (int32), and the run's random key. */
export type StepInputs = { learningRate: tf.Scalar; step: tf.Scalar; runKey: Key };

export type StepMetrics = Record<string, tf.Scalar>;

/**
 * One whole training step as one program on one device: forward, backward, clipping, AdamW and moving average. The state
 * passed in is consumed. Where loss or gradients are not finite the state comes back unchanged.
 */
export function createTrainStep(loss: LossFunction, options: TrainStepOptions) {
  const trainStep = (state: TrainState, frozen: Tree<tf.Tensor>, batch: Tree<tf.Tensor>, inputs: StepInputs) => {
    const found = lossAndGradients(loss, { params: state.params, frozen, batch }, inputs, 0);
    return updateState(state, found, inputs.learningRate, options);
  };
  return jit(trainStep, { donate: [0], precision: options.precision });
}

/** The loss of a batch, or of one part of it, and its gradients. */
export type LossAndGradients = { loss: tf.Scalar; metrics: StepMetrics; gradients: Parameters };

/** @param part - number of the part of the batch, an int32 scalar inside `jit` */
export function lossAndGradients(
  loss: LossFunction,
  { params, frozen, batch }: { params: Parameters; frozen: Tree<tf.Tensor>; batch: Tree<tf.Tensor> },
  { runKey, step }: StepInputs,
  part: number | tf.Scalar,
): LossAndGradients {
  const key = foldIn(foldIn(runKey, step), part);
  return valueAndGradients((differentiated) => loss(differentiated, frozen, batch, key), params);
}

/** Clipping, AdamW and moving average; where loss or gradients are not finite, the state as it was. */
export function updateState(
  state: TrainState,
  { loss, metrics, gradients: unclipped }: LossAndGradients,
  learningRate: tf.Scalar,
  { clipNorm, adamw, emaRate }: TrainStepOptions,
): { state: TrainState; metrics: StepMetrics } {
  const { gradients, norm } = clipByGlobalNorm(unclipped, clipNorm);
  const next = applyAdamW(state.params, gradients, state.optimizer, learningRate, adamw);
  const updated = { params: next.params, ema: updateEma(state.ema, next.params, emaRate), optimizer: next.state };
  const finite = tf.isFinite(tf.add(loss, norm));
  const chosen = mapTree((after, before) => tf.where(finite, after, before), updated, state);
  return { state: chosen, metrics: { loss, gradientNorm: norm, ...metrics } };
}
