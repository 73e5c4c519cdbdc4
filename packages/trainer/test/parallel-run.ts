import { disposeTree, flattenTree, hostRandom, randomKey, replicate } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { createTrainStep, initTrainState, type Parallelism, type TrainStepOptions } from '../src/train-step.js';
import { smallBatch, smallModelTask } from './small-model.js';

/** A large epsilon: where a gradient is nearly zero, AdamW would blow up its last digit. */
const options: TrainStepOptions = {
  adamw: { betas: [0.9, 0.95], epsilon: 1e-3, weightDecay: 0.02 },
  clipNorm: 1,
  emaRate: 0.9,
};

export type ParallelRun = {
  /** Loss and gradient norm of each step. */
  metrics: number[][];
  /** Parameters and average at the end, by name, of each device. */
  weights: Record<string, Float32Array>[];
};

/** Trains the small model for some steps on batches of 8 images; leaves no tensors behind. */
export async function parallelRun(
  parallelism: Parallelism,
  {
    steps = 3,
    dropout = 0,
    precision,
  }: { steps?: number; dropout?: number } & Pick<TrainStepOptions, 'precision'> = {},
): Promise<ParallelRun> {
  const task = smallModelTask({ dropout });
  const trainStep = createTrainStep(task.loss, { ...options, precision, parallelism });
  const [initKey, runKey] = [randomKey(1), randomKey(2)];
  const state = initTrainState(await task.init(initKey));
  let states = replicate(state, parallelism.devices);
  disposeTree(state);
  const constants = replicate(task.constants, parallelism.devices);
  const metrics: number[][] = [];
  for (let step = 0; step < steps; step++) {
    const batch = task.toTensors(smallBatch(step, 8), hostRandom(3, step));
    const inputs = { learningRate: tf.scalar(0.01), step: tf.scalar(step, 'int32'), runKey };
    const result = trainStep(states, constants, batch, inputs);
    states = result.states;
    const { loss, gradientNorm } = result.metrics;
    metrics.push([(await loss.data())[0], (await gradientNorm.data())[0]]);
    disposeTree([batch, inputs.learningRate, inputs.step, result.metrics]);
  }
  const weights: ParallelRun['weights'] = [];
  for (const { params, ema } of states) {
    const values: Record<string, Float32Array> = {};
    for (const [name, tensor] of Object.entries(flattenTree({ params, ema }))) {
      values[name] = Float32Array.from(await tensor.data());
    }
    weights.push(values);
  }
  disposeTree([states, initKey, runKey]);
  return { metrics, weights };
}
