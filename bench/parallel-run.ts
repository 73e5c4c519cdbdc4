/** What measurements of training on several devices are made of. */
import {
  backendTraits,
  disposeTree,
  flattenTree,
  type Key,
  type MappedTree,
  mapTree,
  randomKey,
  replicate,
  treeLeaves,
} from '@tb/runtime';
import { type LossInputs, loss, type TokenBridge, type TokenBridgeConfig } from '@tb/tokenbridge';
import { createTrainStep, defaultAdamW, initTrainState, type Parallelism } from '@tb/trainer';
import { compiledPrograms } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';
import { drawBatch, drawParameters, gibibytes, type Precision, rounded, seconds, settle } from './large-model.js';

export type Case = Parallelism & {
  config: TokenBridgeConfig;
  precision: Precision;
  dropout: boolean;
  /** Images per update, over all devices of all processes. */
  batch: number;
};

const LEARNING_RATE = 1e-4;
const WARM_UP_STEPS = 2;

/** The cases that an argument like `1x1,2x1,2x4` names: devices × micro-batches. */
export function parseCases(text: string): Parallelism[] {
  return text.split(',').map((each) => {
    const found = /^(\d+)x(\d+)$/.exec(each.trim());
    if (!found) throw new Error(`--cases must be like 1x1,2x1 (devices x micro-batches), got ${text}`);
    return { devices: Number(found[1]), microBatches: Number(found[2]) };
  });
}

/** Steps on the same few batches, each uploaded again as in training. */
export async function startRun({ config, precision, dropout, batch, devices, microBatches }: Case) {
  const lossOf = (params: TokenBridge, _: object, inputs: LossInputs, key: Key) => ({
    loss: loss(params, config, inputs, { dropoutKey: dropout ? key : undefined }),
  });
  const parallelism = { devices, microBatches };
  const options = { adamw: defaultAdamW, clipNorm: 3, emaRate: 0.9999, precision, parallelism };
  const trainStep = createTrainStep(lossOf, options);
  const { count } = backendTraits().processes;
  const images = batch / count; // those of this process
  const batches = [await toHost(drawBatch(3, config, images)), await toHost(drawBatch(4, config, images))];
  const initial = initTrainState(drawParameters(1, config));
  let states = replicate(initial, devices);
  disposeTree(initial);
  const constants = states.map(() => ({}));
  const runKey = randomKey(2);
  let number = 0;
  return {
    /** Enqueues one step; the loss is the caller's. */
    step(): tf.Scalar {
      const inputs = { learningRate: tf.scalar(LEARNING_RATE), step: tf.scalar(number, 'int32'), runKey };
      const tensors = toTensors(batches[number % batches.length]);
      const result = trainStep(states, constants, tensors, inputs);
      states = result.states;
      number++;
      disposeTree([tensors, inputs.learningRate, inputs.step, result.metrics.gradientNorm]);
      return result.metrics.loss;
    },
    /** Largest difference between the devices' copies of one parameter. */
    async spread(): Promise<number> {
      const [name] = Object.keys(flattenTree(states[0].params)).filter((each) => each.endsWith('.weight'));
      const copies = states.map(({ params }) => flattenTree(params)[name].data<'float32'>());
      const [first, ...others] = await Promise.all(copies);
      const gaps = others.map((own) => own.reduce((most, value, i) => Math.max(most, Math.abs(value - first[i])), 0));
      return Math.max(0, ...gaps);
    },
    end() {
      disposeTree([states, runKey]);
    },
  };
}

type Run = Awaited<ReturnType<typeof startRun>>;

/** Values of a tensor on the host. A class, since a plain object would be a node of the tree. */
class HostTensor {
  constructor(
    readonly values: tf.TypedArray,
    readonly shape: number[],
    readonly dtype: tf.DataType,
  ) {}
}

type HostBatch = MappedTree<LossInputs, tf.Tensor, HostTensor>;

/** A batch as a data pipeline hands it over. */
async function toHost(batch: LossInputs): Promise<HostBatch> {
  const values = new Map<tf.Tensor, tf.TypedArray>();
  for (const tensor of treeLeaves(batch)) values.set(tensor, await tensor.data());
  const host = mapTree((tensor: tf.Tensor) => new HostTensor(values.get(tensor)!, tensor.shape, tensor.dtype), batch);
  disposeTree(batch);
  return host;
}

const toTensors = (batch: HostBatch) =>
  mapTree(({ values, shape, dtype }: HostTensor) => tf.tensor(values, shape, dtype), batch) as LossInputs;

/** Time and memory of training steps. */
export async function measureSpeed(each: Case, steps: number) {
  const compiledBefore = compiledPrograms().length;
  const start = performance.now();
  const run = await startRun(each);
  const prepareSeconds = rounded(seconds(start));
  try {
    const measured = await timeSteps(run, each, steps);
    return { ...measured, prepareSeconds, scratchGiB: scratchSince(compiledBefore) };
  } finally {
    run.end();
  }
}

async function timeSteps(run: Run, { devices, microBatches, batch }: Case, steps: number) {
  const start = performance.now();
  const losses = [await settle(run.step())];
  const firstStepSeconds = rounded(seconds(start));
  for (let i = 0; i < WARM_UP_STEPS; i++) losses.push(await settle(run.step()));
  const timed = performance.now();
  for (let i = 0; i < steps - 1; i++) run.step().dispose();
  losses.push(await settle(run.step()));
  const secondsPerStep = seconds(timed) / steps;
  const { peakBytesInUse = 0 } = tf.memory() as { peakBytesInUse?: number };
  return {
    devices,
    microBatches,
    batch,
    imagesPerSecond: rounded(batch / secondsPerStep),
    stepMs: rounded(secondsPerStep * 1000),
    firstStepSeconds,
    peakGiBSoFar: rounded(gibibytes(peakBytesInUse)),
    losses: losses.map(rounded),
    spread: await run.spread(),
  };
}

/** Scratch memory of the largest program compiled since. */
function scratchSince(count: number): number {
  const sizes = compiledPrograms()
    .slice(count)
    .map(({ memory }) => memory?.temporaryBytes ?? 0);
  return rounded(gibibytes(Math.max(0, ...sizes)));
}

/** Losses of the same batches without dropout in each case, and how far they are from the first case's. */
export async function measureAgreement(cases: readonly Case[], steps: number) {
  const losses: Record<string, number[]> = {};
  let spread = 0;
  for (const each of cases) {
    const run = await startRun({ ...each, dropout: false });
    const own: number[] = [];
    try {
      for (let i = 0; i < steps; i++) own.push(await settle(run.step()));
      spread = Math.max(spread, await run.spread());
    } finally {
      run.end();
    }
    losses[`${each.devices}x${each.microBatches}`] = own;
  }
  const [first, ...others] = Object.values(losses);
  const deviations = others.flatMap((own) => own.map((value, i) => Math.abs(value / first[i] - 1)));
  return { losses, largestDeviation: Math.max(...deviations), spread };
}
