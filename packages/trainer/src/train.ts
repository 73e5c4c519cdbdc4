// The training loop: from a task and its options to a trained state, with checkpoints, validation and a log on the way.
import type { Pixels } from '@tb/images';
import { lockFolder, makeFolder } from '@tb/io';
import {
  disposeTree,
  type HostRandom,
  hostRandom,
  type Key,
  randomKey,
  replicate,
  type TensorTree,
  tidyTree,
} from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type CheckpointSaver, createCheckpointSaver } from './checkpoint-saver.js';
import type { BatchSource } from './data/batches.js';
import type { RunLog } from './log/run-log.js';
import { createLossQueue, type LossQueue, NonFiniteLossError } from './loss-queue.js';
import { learningRateAt, type ScheduleOptions } from './optimizer/schedule.js';
import { checkpointsOf } from './run-folder/layout.js';
import type { Checkpoint } from './run-folder/open-run.js';
import type { Progress } from './run-folder/progress.js';
import { loadNewestState, type ParameterShapes } from './run-folder/training-state.js';
import {
  createTrainStep,
  initTrainState,
  type LossResult,
  parallelismOf,
  type StepMetrics,
  type TrainState,
  type TrainStepOptions,
} from './train-step.js';

/**
 * A model to train and the data to train it on: everything that the training loop does not know.
 *
 * `Batch` is what the data source gives, in host memory; `Tensors` is what `toTensors` makes of it for the loss. Write a
 * task with all four types, so that its members are checked against one another, and pass it on as `Task<Params, Batch>`:
 * nobody but the task's own members handles its tensors and constants.
 */
export type Task<
  Params extends TensorTree = TensorTree,
  Batch = unknown,
  Tensors extends TensorTree = TensorTree,
  Constants extends TensorTree = TensorTree,
> = {
  /** New parameters, from a random key or from a file. */
  init(key: Key): Promise<Params> | Params;
  /**
   * Tensors that the loss reads and training does not change, such as an autoencoder's weights. They are an argument of
   * the compiled step, with a copy on each device. If the loss took them from its surroundings instead, `jit` would make
   * them part of the compiled program.
   */
  constants: Constants;
  /** What is minimized; see `LossFunction`. */
  loss(params: Params, constants: Constants, batch: Tensors, key: Key): LossResult;
  /**
   * Opens the data at the batch of step `firstStep`. A function, since that step is known only after a checkpoint was
   * found, and changes when the run rolls back.
   */
  openBatches(firstStep: number): BatchSource<Batch>;
  /**
   * The first axis of every tensor counts the images: the batch is cut along it, for several devices or micro-batches.
   *
   * @param random - the step's own random numbers, for what is drawn on the host, such as masks
   */
  toTensors(batch: Batch, random: HostRandom): Tensors;
  /** Numbers about the averaged parameters on data that training does not see. */
  validate?(ema: Params): Promise<Record<string, number>>;
  /** An image that shows what the averaged parameters can do. */
  draw?(ema: Params): Promise<Pixels>;
};

/** How a task is trained: length, schedule, optimizer, checkpoints and validation. */
export type TrainOptions = TrainStepOptions & {
  steps: number;
  seed: number;
  /** In steps. */
  schedule: ScheduleOptions;
  /** Folder of the run; checkpoints are in `checkpoints` below it. */
  out: string;
  /** Continue from the newest checkpoint. */
  resume: boolean;
  /** Steps between checkpoints; the last step writes one too. */
  checkpointEvery: number;
  /** How many of the newest checkpoints stay. */
  keepCheckpoints: number;
  /** Steps between validations. */
  validateEvery: number;
  /** Steps between drawn images. */
  drawEvery: number;
  /** How many times to roll back to the last checkpoint after a loss that is not finite. */
  nanRetries: number;
  /** Steps whose losses may still be on their way from the device; 0 reads each at once. */
  lossDelay: number;
  /** Whether training continues while a checkpoint is written, for which the host holds a copy of the state. */
  saveInBackground?: boolean;
  /** Stored in every checkpoint. */
  config: Record<string, unknown>;
  /** Stored in every checkpoint: the images that the run is trained on (see `describeImages`). */
  data?: Progress['data'];
  /** Called with the checkpoint that a resumed run continues from, before its tensors are loaded; throws to refuse it. */
  onResume?: (checkpoint: Omit<Checkpoint, 'damaged'>) => void;
  /** Metadata of the weights in every checkpoint (see `describeWeights`). */
  metadata?: Record<string, string>;
  /** Shapes that the parameters of a checkpoint must have, by dotted name. */
  shapes?: ParameterShapes;
};

/** The end of a run. */
export type TrainResult<Params extends TensorTree> = {
  state: TrainState<Params>;
  progress: Progress;
  /** Whether the run was asked to stop before its last step. */
  stopped: boolean;
};

/**
 * Trains a task. The caller owns the state that comes back.
 *
 * @param signal - when aborted, the run saves a checkpoint after the step in progress and returns
 * @throws NonFiniteLossError when a loss is not finite and no retry is left; the last checkpoint stays as it is;
 *   FolderInUseError when another process works in the run folder
 */
export async function train<Params extends TensorTree, Batch>(
  task: Task<Params, Batch>,
  options: TrainOptions,
  log: RunLog,
  signal?: AbortSignal,
): Promise<TrainResult<Params>> {
  const training = { task, options, log, signal, trainStep: createTrainStep(task.loss, options) };
  let run = options.resume ? await restore<Params>(options, log) : await start(task, options);
  for (;;) {
    let leave = async () => {};
    try {
      await makeFolder(checkpointsOf(options.out)); // not before the start has succeeded
      leave = await lockFolder(options.out);
      await log.begin(run.progress, options.steps);
      return await trainFrom(run, training);
    } catch (error) {
      disposeTree(run.states);
      if (!(error instanceof NonFiniteLossError) || run.progress.retries >= options.nanRetries) throw error;
      const retries = run.progress.retries + 1;
      run = (await tryRestore<Params>(options, log)) ?? (await start(task, options));
      run.progress.retries = retries;
      log.print(
        `${error.message}. Rolled back to step ${run.progress.step}, retry ${retries} of ${options.nanRetries}.`,
      );
    } finally {
      await leave();
    }
  }
}

/** Where a run is. Each device has a copy of the state; the first one is saved, validated and drawn. */
type Run<Params extends TensorTree> = { states: TrainState<Params>[]; progress: Progress };

/** What stays the same for a run. */
type Training<Params extends TensorTree, Batch> = {
  task: Task<Params, Batch>;
  options: TrainOptions;
  log: RunLog;
  signal?: AbortSignal;
  trainStep: ReturnType<typeof createTrainStep<Params, TensorTree, TensorTree>>;
};

/** Trains until the last step, a stop signal, or a loss that is not finite. */
async function trainFrom<Params extends TensorTree, Batch>(
  run: Run<Params>,
  training: Training<Params, Batch>,
): Promise<TrainResult<Params>> {
  const { task, options, log } = training;
  const { progress } = run;
  const batches = task.openBatches(progress.step);
  const losses = createLossQueue(options.lossDelay, progress, batches, log);
  const saver = createCheckpointSaver(run, losses, options, log);
  try {
    await runSteps(run, batches, { losses, saver }, training);
    const [state, ...copies] = run.states;
    disposeTree(copies);
    return { state, progress, stopped: progress.step < options.steps };
  } finally {
    losses.drop();
    try {
      await saver.finish(); // of what went wrong, a checkpoint that cannot be written came first
    } finally {
      await batches.close();
      log.pause();
    }
  }
}

// One step:
//   1. takes the next batch, which worker threads have made ahead of time;
//   2. draws masks and keys on the host, and makes tensors of all (`task.toTensors`);
//   3. runs the compiled step: loss, gradients, AdamW and moving average; the old state is consumed;
//   4. queues the loss, which is read and logged `lossDelay` steps later;
//   5. saves a checkpoint, where one is due: copies the state to the host, and writes it while the next steps run;
//   6. validates and draws with the averaged parameters, where it is due.
async function runSteps<Params extends TensorTree, Batch>(
  run: Run<Params>,
  batches: BatchSource<Batch>,
  { losses, saver }: { losses: LossQueue<Batch>; saver: CheckpointSaver },
  training: Training<Params, Batch>,
): Promise<void> {
  const { task, options, log, signal } = training;
  const { progress } = run;
  if (progress.step < options.steps)
    log.print(`step ${progress.step + 1}: the first step takes longer than later ones`);
  const constants = tidyTree(() => replicate(task.constants, run.states.length));
  // Every retry draws other masks and dropout, in case the last ones were the trouble.
  const runKey = randomKey(BigInt(options.seed) + (BigInt(1 + progress.retries) << 40n));
  try {
    while (progress.step < options.steps && !signal?.aborted) {
      const batch = await batches.next();
      const learningRate = learningRateAt(options.schedule, progress.step);
      const metrics = updateStates(run, batch, { constants, runKey, learningRate }, training);
      progress.step++;
      await losses.add({ step: progress.step, learningRate, metrics, batch });
      if (isDue(progress.step, options.checkpointEvery, options.steps)) await saver.save();
      saver.throwIfFailed();
      await validateAndDraw(run, training);
      await new Promise(setImmediate); // lets signals in where operations run in this thread
    }
    await saver.save();
  } finally {
    disposeTree([runKey, constants]);
  }
}

/** Makes one step. Returns its metrics; if it throws, the states are what they were. */
function updateStates<Params extends TensorTree, Batch>(
  run: Run<Params>,
  batch: Batch,
  { constants, runKey, learningRate }: { constants: TensorTree[]; runKey: Key; learningRate: number },
  { task, options, trainStep }: Training<Params, Batch>,
): StepMetrics {
  const { step, retries } = run.progress;
  const { states, metrics } = tidyTree(() => {
    const tensors = task.toTensors(batch, hostRandom(options.seed, hostStream, retries, step));
    const inputs = { learningRate: tf.scalar(learningRate), step: tf.scalar(step, 'int32'), runKey };
    return trainStep(run.states, constants, tensors, inputs);
  });
  run.states = states;
  return metrics;
}

/** Keeps what is drawn on the host apart from the data order, which has the same seed. */
const hostStream = 1_000_003;

const isDue = (step: number, every: number, last: number) => step % every === 0 || step === last;

/** Validation, drawn images and the report, where they are due. */
async function validateAndDraw<Params extends TensorTree, Batch>(
  run: Run<Params>,
  { task, options, log }: Training<Params, Batch>,
): Promise<void> {
  const { step } = run.progress;
  const { ema } = run.states[0];
  if (task.validate && isDue(step, options.validateEvery, options.steps)) {
    log.print(`step ${step}: validating`);
    log.validation(step, await task.validate(ema));
  }
  if (task.draw && isDue(step, options.drawEvery, options.steps)) {
    log.print(`step ${step}: drawing sample images`);
    await log.image(step, await task.draw(ema));
  }
  if (isDue(step, options.drawEvery, options.steps)) await log.report();
}

async function start<Params extends TensorTree, Batch>(
  task: Task<Params, Batch>,
  options: TrainOptions,
): Promise<Run<Params>> {
  const { seed, config, data } = options;
  const params = await initParameters(task, seed);
  try {
    const progress = { step: 0, retries: 0, smoothedLoss: null, seconds: 0, seed, config, data };
    return { states: replicateState(initTrainState(params), options), progress };
  } finally {
    disposeTree(params); // the states have their own
  }
}

async function initParameters<Params extends TensorTree, Batch>(
  task: Task<Params, Batch>,
  seed: number,
): Promise<Params> {
  const key = randomKey(seed);
  try {
    return await task.init(key);
  } finally {
    key.dispose();
  }
}

async function restore<Params extends TensorTree>(options: TrainOptions, log: RunLog): Promise<Run<Params>> {
  const run = await tryRestore<Params>(options, log, options.onResume);
  if (run) return run;
  throw new Error(`there is no checkpoint to resume from in ${checkpointsOf(options.out)}`);
}

/** The run at its newest checkpoint, if there is one. `options.shapes` makes sure that it holds such parameters. */
async function tryRestore<Params extends TensorTree>(
  options: TrainOptions,
  log: RunLog,
  check?: TrainOptions['onResume'],
): Promise<Run<Params> | undefined> {
  const checkpoint = await loadNewestState(options.out, { shapes: options.shapes, check });
  if (!checkpoint) return undefined;
  for (const damage of checkpoint.damaged) log.print(`passed over a damaged checkpoint: ${damage}`);
  const state = checkpoint.state as TrainState<Params>;
  return {
    states: replicateState(state, options),
    progress: { ...checkpoint.progress, config: options.config, data: options.data },
  };
}

/** A copy of the state on each device. Takes over `state`. */
function replicateState<Params extends TensorTree>(
  state: TrainState<Params>,
  options: TrainOptions,
): TrainState<Params>[] {
  try {
    return tidyTree(() => replicate(state, parallelismOf(options).devices));
  } finally {
    disposeTree(state);
  }
}
