// Training on any number of devices, and on batches that no device holds at once.
import { allReduceMean, jit, mapTree, storeFloat32, type Tree, tidyTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { splitBatch } from './data/split-batch.js';
import type { Parameters } from './optimizer/adamw.js';
import {
  type LossFunction,
  lossAndGradients,
  type StepInputs,
  type StepMetrics,
  type TrainState,
  type TrainStepOptions,
  updateState,
} from './train-step.js';

/** How a batch is worked on: by so many devices at once, in so many passes. */
export type Parallelism = {
  devices: number;
  /** Equal parts of its share of the batch that a device works on one after another; their gradients are added up. */
  microBatches: number;
};

type Options = TrainStepOptions & Parallelism;

/** Arrays of one for each device: its copy of the state, and of what is not trained. */
type OnDevices = { states: TrainState[]; frozen: Tree<tf.Tensor>[]; inputs: StepInputs[] };

/** One pass: for each device its part of the batch, and the part's number. */
type Pass = { batches: Tree<tf.Tensor>[]; parts: tf.Scalar[] };

type StepResult = { state: TrainState; metrics: StepMetrics };

/**
 * A training step like that of `createTrainStep`, on copies of the state on the first `devices` devices (see `replicate`
 * of @tb/runtime). The batch is cut into devices · microBatches equal parts; loss, metrics and gradients are the means
 * over all of them, those of the whole batch. So the copies stay equal.
 *
 * The states passed in are consumed, unless the step throws; those that come back are on the same devices.
 *
 * @throws Error (the step) when the pictures of a batch cannot be cut into equal parts
 */
export function createParallelTrainStep(loss: LossFunction, options: Options) {
  const { devices, microBatches } = options;
  const run = microBatches === 1 ? onePass(loss, options) : accumulatingPasses(loss, options);
  return (
    states: TrainState[],
    frozen: Tree<tf.Tensor>[],
    batch: Tree<tf.Tensor>,
    inputs: StepInputs,
  ): { states: TrainState[]; metrics: StepMetrics } =>
    // Tidied as a whole, so that a step that fails in the middle leaves nothing behind.
    tidyTree(() => {
      const passes = passesOf(batch, options);
      const results = run({ states, frozen, inputs: Array.from({ length: devices }, () => inputs) }, passes);
      return { states: results.map(({ state }) => state), metrics: results[0].metrics }; // the same on every device
    });
}

function passesOf(batch: Tree<tf.Tensor>, { devices, microBatches }: Parallelism): Pass[] {
  const count = devices * microBatches;
  const batches = count === 1 ? [batch] : splitBatch(batch, count);
  return Array.from({ length: microBatches }, (_, pass) => ({
    batches: batches.slice(pass * devices, (pass + 1) * devices),
    parts: Array.from({ length: devices }, (_, device) => tf.scalar(pass * devices + device, 'int32')),
  }));
}

/** Everything as one program, when each device takes its share of the batch at once. */
function onePass(loss: LossFunction, options: Options) {
  const trainStep = (
    state: TrainState,
    frozen: Tree<tf.Tensor>,
    batch: Tree<tf.Tensor>,
    inputs: StepInputs,
    part: tf.Scalar,
  ): StepResult => {
    const found = lossAndGradients(loss, { params: state.params, frozen, batch }, inputs, part);
    return updateState(state, allReduceMean(found), inputs.learningRate, options);
  };
  const program = jit(trainStep, { donate: [0], precision: options.precision, replicas: options.devices });
  return ({ states, frozen, inputs }: OnDevices, [{ batches, parts }]: Pass[]): StepResult[] =>
    program(states, frozen, batches, inputs, parts);
}

/**
 * A program that adds the gradients of one part to their sum in float32, and one that updates the state; what the devices
 * found meets once a step. So neither grows with the number of parts.
 */
function accumulatingPasses(loss: LossFunction, options: Options) {
  const { devices: replicas, microBatches, precision } = options;
  const start = jit((params: Parameters) => mapTree((value) => tf.zerosLike(value), params), { replicas });
  const accumulateGradients = (
    sum: Parameters,
    params: Parameters,
    frozen: Tree<tf.Tensor>,
    batch: Tree<tf.Tensor>,
    inputs: StepInputs,
    part: tf.Scalar,
  ) => {
    const found = lossAndGradients(loss, { params, frozen, batch }, inputs, part);
    const added = mapTree((before, gradient) => tf.add(before, storeFloat32(gradient)), sum, found.gradients);
    return { sum: added, scalars: { loss: found.loss, ...found.metrics } };
  };
  const applyGradients = (
    state: TrainState,
    sum: Parameters,
    scalars: StepMetrics[],
    { learningRate }: StepInputs,
  ): StepResult => {
    const gradients = mapTree((value) => tf.div(value, microBatches), sum);
    const { loss: mean, ...metrics } = meanOf(scalars);
    return updateState(state, allReduceMean({ loss: mean, metrics, gradients }), learningRate, options);
  };
  const accumulate = jit(accumulateGradients, { donate: [0], precision, replicas });
  const apply = jit(applyGradients, { donate: [0, 1, 2], replicas });

  return ({ states, frozen, inputs }: OnDevices, passes: Pass[]): StepResult[] => {
    const params = states.map((state) => state.params);
    const scalars: StepMetrics[][] = states.map(() => []);
    let sums = start(params);
    for (const { batches, parts } of passes) {
      const results = accumulate(sums, params, frozen, batches, inputs, parts);
      sums = results.map(({ sum }) => sum);
      for (const [device, result] of results.entries()) scalars[device].push(result.scalars);
    }
    return apply(states, sums, scalars, inputs);
  };
}

function meanOf(records: StepMetrics[]): StepMetrics {
  const [first, ...others] = records;
  return mapTree((...values) => tf.div(tf.addN(values), values.length), first, ...others);
}
