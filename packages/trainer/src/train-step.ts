// One training step as compiled programs: loss and gradients, their mean over devices and micro-batches, clipping, AdamW
// and the moving average of the parameters.
import {
  allReduceMean,
  backendTraits,
  disposeTree,
  foldIn,
  type JitOptions,
  jit,
  type Key,
  mapTree,
  mapTreeWithNames,
  replicasOfProcess,
  storeFloat32,
  type TensorTree,
  tidyTree,
  treeLeaves,
} from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type AdamWOptions, type AdamWState, applyAdamW, initAdamW } from './optimizer/adamw.js';
import { clipByGlobalNorm } from './optimizer/clip.js';

/** A scalar to minimize, and other scalars to log with it. */
export type LossResult = { loss: tf.Scalar; metrics?: StepMetrics };

/** Scalars of one step by name, such as `loss` and `gradientNorm`. */
export type StepMetrics = Record<string, tf.Scalar>;

/**
 * The function that training minimizes. Pure and traceable. Loss and metrics are means over the images of the batch, so that
 * the mean over equal parts of a batch is that of the complete batch.
 *
 * @param constants - tensors that the loss reads and training does not change
 * @param key - the step's random key; if the batch is cut into parts, each part has another
 */
export type LossFunction<Params, Constants = TensorTree, Batch = TensorTree> = (
  params: Params,
  constants: Constants,
  batch: Batch,
  key: Key,
) => LossResult;

/** All that training changes. */
export type TrainState<Params extends TensorTree = TensorTree> = {
  params: Params;
  /** Exponential moving average of the parameters. */
  ema: Params;
  optimizer: AdamWState<Params>;
};

/** How one training step computes. */
export type TrainStepOptions = {
  adamw: AdamWOptions;
  /** Largest norm of all gradients together. */
  clipNorm: number;
  /** Share of the moving average that stays at each step, in [0, 1]; Tab. 4: 0.9999. */
  emaRate: number;
  /** Precision of matrix products and convolutions, if the backend has a choice. */
  precision?: JitOptions['precision'];
  /** Default: one device, which takes the complete batch at once. */
  parallelism?: Parallelism;
};

/** How a batch is spread over devices and time. */
export type Parallelism = {
  /** Devices that work at once, each on an equal share of the batch; those of all processes, each with equally many. */
  devices: number;
  /** Equal parts of its share that a device works on one after another; their gradients are added up. */
  microBatches: number;
};

/** Small tensors of one step: its learning rate, its number (int32), and the run's random key. */
export type StepInputs = {
  learningRate: tf.Scalar;
  step: tf.Scalar;
  runKey: Key;
  /** 1 if this process is to stop, else 0. The metric `stop` is then its mean over all devices, above 0 if any process is to stop. */
  stop?: tf.Scalar;
};

/** Makes the state before the first step. Takes over `params`, unless it throws. */
export function initTrainState<Params extends TensorTree>(params: Params): TrainState<Params> {
  return tidyTree(() => {
    const ema = mapTree((value) => tf.mul(value, 1), params); // in separate memory: a step donates both
    return { params, ema, optimizer: initAdamW(params) };
  });
}

/**
 * Makes a function that performs one training step. It takes and returns one copy of the state for each device of this
 * process (an array of one without `parallelism`; see `replicate` of @tb/runtime), and takes one copy of the constants for
 * each.
 *
 * The batch is cut into devices · microBatches equal parts along the first axis of its tensors. Loss, metrics and
 * gradients are the means over all parts, those of the complete batch, so the copies of the state stay equal. In a group
 * of processes, each calls the step at the same time with its rows of the batch (see `shareOfBatch`).
 *
 * A step consumes the states that it gets, unless it throws. If loss or gradients are not finite, it returns the state
 * unchanged.
 *
 * @throws Error (from the step) if the images of a batch cannot be cut into equal parts
 */
export function createTrainStep<Params extends TensorTree, Constants extends TensorTree, Batch extends TensorTree>(
  loss: LossFunction<Params, Constants, Batch>,
  options: TrainStepOptions,
) {
  const { devices, microBatches } = parallelismOf(options);
  const { run, prepare, cancel } = microBatches === 1 ? onePass(loss, options) : accumulatingPasses(loss, options);
  const onDevices = (states: TrainState<Params>[], constants: Constants[], inputs: StepInputs) => ({
    states,
    constants,
    inputs: states.map(() => inputs),
  });
  const step = (
    states: TrainState<Params>[],
    constants: Constants[],
    batch: Batch,
    inputs: StepInputs,
  ): { states: TrainState<Params>[]; metrics: StepMetrics } =>
    // Tidied as a unit, so that a step that fails in the middle leaves nothing behind.
    tidyTree(() => {
      const passes = passesOf(batch, devices, microBatches);
      const results = run(onDevices(states, constants, inputs), passes);
      return { states: results.map(({ state }) => state), metrics: results[0].metrics }; // the same on every device
    });
  const shapesReady = new Set<string>();
  return Object.assign(step, {
    /**
     * Makes the programs for such a batch ready ahead of its step, where the backend compiles. Only shapes and dtypes of the
     * batch count; nothing is consumed.
     */
    async prepare(states: TrainState<Params>[], constants: Constants[], batch: Batch, inputs: StepInputs) {
      const shapes = treeLeaves(batch)
        .map(({ shape }) => shape.join('x'))
        .join();
      if (shapesReady.has(shapes) || !backendTraits().compilesPerShape) return;
      const programs: Promise<unknown>[] = [];
      tf.tidy(() => {
        const part = tf.scalar(0, 'int32');
        const images = mapTree((tensor) => likePart(tensor, states.length * microBatches), batch);
        const pass = { batches: states.map(() => images), parts: states.map(() => part) };
        programs.push(...prepare(onDevices(states, constants, inputs), pass));
      });
      await Promise.all(programs);
      shapesReady.add(shapes);
    },
    /** Gives up prepared programs whose compilation has not begun. */
    cancel,
  });
}

/** A tensor of the shape that `splitBatch` gives a part of a batch. */
function likePart(tensor: tf.Tensor, count: number): tf.Tensor {
  const [images = 1, ...rest] = tensor.shape;
  return tf.fill([images / count, ...rest], 0, tensor.dtype);
}

/** The parallelism of some options: one device and one pass, if nothing is set. */
export function parallelismOf({ parallelism }: Pick<TrainStepOptions, 'parallelism'>): Parallelism {
  return parallelism ?? { devices: 1, microBatches: 1 };
}

/** What a step gets, one of each for each device of this process. */
type OnDevices<Params extends TensorTree, Constants> = {
  states: TrainState<Params>[];
  constants: Constants[];
  inputs: StepInputs[];
};

/** The parts of a batch that the devices of this process work on at once, and their numbers within the complete batch. */
type Pass<Batch> = { batches: Batch[]; parts: tf.Scalar[] };

type StepResult<Params extends TensorTree> = { state: TrainState<Params>; metrics: StepMetrics };

function passesOf<Batch extends TensorTree>(batch: Batch, devices: number, microBatches: number): Pass<Batch>[] {
  const { processes } = backendTraits();
  const own = replicasOfProcess('trainStep', processes, devices);
  const first = own < devices ? processes.index * own : 0; // number of this process's first device
  const batches = splitBatch(batch, own * microBatches);
  return Array.from({ length: microBatches }, (_, pass) => ({
    batches: batches.slice(pass * own, (pass + 1) * own),
    parts: Array.from({ length: own }, (_, device) => tf.scalar(pass * devices + first + device, 'int32')),
  }));
}

/**
 * Cuts a batch into equal parts along the first axis of every tensor. The values are read back to be cut on the host, so
 * that each part goes straight to the device that works on it. On `xla`, tensors that were just made from host arrays are
 * still there: nothing is copied.
 *
 * @throws Error if a tensor's first axis is not a multiple of `count`
 */
export function splitBatch<Batch extends TensorTree>(batch: Batch, count: number): Batch[] {
  if (count === 1) return [batch];
  const values = new Map(treeLeaves(batch).map((tensor) => [tensor, tensor.dataSync()]));
  return Array.from({ length: count }, (_, part) =>
    mapTreeWithNames((tensor, name) => {
      const [images = 1, ...rest] = tensor.shape;
      if (images % count !== 0) {
        throw new Error(`splitBatch: ${name} [${tensor.shape}] must have a multiple of ${count} rows, one part each`);
      }
      const length = tensor.size / count;
      const rows = values.get(tensor)!.subarray(part * length, (part + 1) * length);
      return tf.tensor(rows, [images / count, ...rest], tensor.dtype);
    }, batch),
  );
}

/** All of a step as one program, if each device takes its share of the batch at once. */
function onePass<Params extends TensorTree, Constants extends TensorTree, Batch extends TensorTree>(
  loss: LossFunction<Params, Constants, Batch>,
  options: TrainStepOptions,
) {
  const trainStep = (
    state: TrainState<Params>,
    constants: Constants,
    batch: Batch,
    inputs: StepInputs,
    part: tf.Scalar,
  ): StepResult<Params> => {
    const computed = lossAndGradients(loss, { params: state.params, constants, batch }, inputs, part);
    const means = allReduceMean({ ...computed, metrics: withStop(computed.metrics, inputs) });
    return updateState(state, means, inputs.learningRate, options);
  };
  const { devices: replicas } = parallelismOf(options);
  const program = jit(trainStep, { donate: [0], precision: options.precision, replicas });
  type Inputs = OnDevices<Params, Constants>;
  return {
    run: ({ states, constants, inputs }: Inputs, [{ batches, parts }]: Pass<Batch>[]) =>
      program(states, constants, batches, inputs, parts),
    prepare: ({ states, constants, inputs }: Inputs, { batches, parts }: Pass<Batch>) => [
      program.prepare(states, constants, batches, inputs, parts),
    ],
    cancel: () => program.cancel(),
  };
}

/**
 * A step as two programs: one adds the gradients of one part to their sum in float32, one updates the state. The devices
 * exchange gradients once a step, in the second. So neither program grows with the number of parts.
 */
function accumulatingPasses<Params extends TensorTree, Constants extends TensorTree, Batch extends TensorTree>(
  loss: LossFunction<Params, Constants, Batch>,
  options: TrainStepOptions,
) {
  const { devices: replicas, microBatches } = parallelismOf(options);
  const zeroGradients = (params: Params) => mapTree((value) => tf.zerosLike(value), params);
  const start = jit(zeroGradients, { replicas });
  let metricNames: string[] | undefined; // once the loss was traced
  const accumulateGradients = (
    sum: Params,
    params: Params,
    constants: Constants,
    batch: Batch,
    inputs: StepInputs,
    part: tf.Scalar,
  ) => {
    const { gradients, metrics, loss: value } = lossAndGradients(loss, { params, constants, batch }, inputs, part);
    metricNames = Object.keys(metrics);
    const added = mapTree((before, gradient) => tf.add(before, storeFloat32(gradient)), sum, gradients);
    return { sum: added, scalars: { loss: value, ...metrics } };
  };
  const applyGradients = (
    state: TrainState<Params>,
    sum: Params,
    scalars: StepMetrics[],
    inputs: StepInputs,
  ): StepResult<Params> => {
    const gradients = mapTree((value) => tf.div(value, microBatches), sum);
    const { loss: mean, ...metrics } = meanOf(scalars);
    const means = allReduceMean({ loss: mean, metrics: withStop(metrics, inputs), gradients });
    return updateState(state, means, inputs.learningRate, options);
  };
  const accumulate = jit(accumulateGradients, { donate: [0], precision: options.precision, replicas });
  const apply = jit(applyGradients, { donate: [0, 1, 2], replicas });

  const run = ({ states, constants, inputs }: OnDevices<Params, Constants>, passes: Pass<Batch>[]) => {
    const params = states.map((state) => state.params);
    const scalars: StepMetrics[][] = states.map(() => []);
    let sums = start(params);
    for (const { batches, parts } of passes) {
      const results = accumulate(sums, params, constants, batches, inputs, parts);
      sums = results.map(({ sum }) => sum);
      for (const [device, result] of results.entries()) scalars[device].push(result.scalars);
    }
    return apply(states, sums, scalars, inputs);
  };
  const prepare = ({ states, constants, inputs }: OnDevices<Params, Constants>, { batches, parts }: Pass<Batch>) => {
    const params = states.map((state) => state.params); // the sums of gradients have their shapes
    const programs = [start.prepare(params), accumulate.prepare(params, params, constants, batches, inputs, parts)];
    if (metricNames === undefined) return programs;
    const names = ['loss', ...metricNames];
    const scalars = states.map(() => Array.from({ length: microBatches }, () => zeroMetrics(names)));
    return [...programs, apply.prepare(states, params, scalars, inputs)];
  };
  return { run, prepare, cancel: () => cancelAll([start, accumulate, apply]) };
}

function cancelAll(programs: readonly { cancel(): void }[]): void {
  for (const program of programs) program.cancel();
}

/** Metrics of these names, for programs that are prepared: their values do not matter. */
const zeroMetrics = (names: readonly string[]): StepMetrics =>
  Object.fromEntries(names.map((name) => [name, tf.scalar(0)]));

/** The metrics, with the wish to stop where there is one. */
function withStop(metrics: StepMetrics, { stop }: StepInputs): StepMetrics {
  return stop ? { ...metrics, stop: tf.clone(stop) } : metrics;
}

function meanOf([first, ...others]: StepMetrics[]): StepMetrics {
  return mapTree((...values) => tf.div(tf.addN(values), values.length), first, ...others);
}

/** Loss, metrics and gradients of a batch, or of one part of it. */
export type LossAndGradients<Params> = { loss: tf.Scalar; metrics: StepMetrics; gradients: Params };

function lossAndGradients<Params extends TensorTree, Constants, Batch>(
  loss: LossFunction<Params, Constants, Batch>,
  { params, constants, batch }: { params: Params; constants: Constants; batch: Batch },
  { runKey, step }: StepInputs,
  part: tf.Scalar,
): LossAndGradients<Params> {
  const key = foldIn(foldIn(runKey, step), part);
  return valueAndGradients((differentiated) => loss(differentiated, constants, batch, key), params);
}

/**
 * Computes value and gradients of a loss over a parameter tree. Pure; runs inside `jit`. A parameter that the loss does not
 * use gets a zero gradient.
 */
export function valueAndGradients<Params extends TensorTree>(
  lossOf: (params: Params) => LossResult,
  params: Params,
): LossAndGradients<Params> {
  const leaves = treeLeaves(params);
  const kept: StepMetrics = {};
  const forward = () => {
    const { loss, metrics = {} } = lossOf(params);
    // TensorFlow.js frees all of the forward pass but the loss.
    for (const [name, value] of Object.entries(metrics)) kept[name] = tf.keep(value);
    return loss;
  };
  const { value, grads } = tf.engine().gradients(forward, leaves, undefined, true);
  const metrics = mapTree((metric) => tf.clone(metric), kept);
  disposeTree(kept);
  let next = 0;
  const gradients = mapTree((leaf) => grads[next++] ?? tf.zerosLike(leaf), params);
  return { loss: value as tf.Scalar, metrics, gradients };
}

/** Clipping, AdamW and moving average; the state as it was, if loss or gradients are not finite. */
function updateState<Params extends TensorTree>(
  state: TrainState<Params>,
  { loss, metrics, gradients: unclipped }: LossAndGradients<Params>,
  learningRate: tf.Scalar,
  { clipNorm, adamw, emaRate }: TrainStepOptions,
): StepResult<Params> {
  const { gradients, norm } = clipByGlobalNorm(unclipped, clipNorm);
  const next = applyAdamW(state.params, gradients, state.optimizer, learningRate, adamw);
  const updated = { params: next.params, ema: updateEma(state.ema, next.params, emaRate), optimizer: next.state };
  const finite = tf.isFinite(tf.add(loss, norm));
  const chosen = mapTree((after, before) => tf.where(finite, after, before), updated, state);
  return { state: chosen, metrics: { loss, gradientNorm: norm, ...metrics } };
}

/** Updates the exponential moving average of the parameters: `average * rate + params * (1 - rate)`; Tab. 4 uses 0.9999. */
export function updateEma<Params extends TensorTree>(average: Params, params: Params, rate: number): Params {
  return mapTree((old, value) => tf.add(tf.mul(old, rate), tf.mul(value, 1 - rate)), average, params);
}
