import { makeFolder } from '@tb/io';
import { disposeTree, hostRandom, type Key, randomKey, replicate, type Tree, tidyTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { BatchSource } from './data/batches.js';
import type { RunLog } from './log/run-log.js';
import { NonFiniteLossError } from './non-finite-loss-error.js';
import type { Parameters } from './optimizer/adamw.js';
import { learningRateAt, type ScheduleOptions } from './optimizer/schedule.js';
import { createParallelTrainStep, type Parallelism } from './parallel-step.js';
import { saveCheckpoint } from './run-folder/checkpoint-writer.js';
import { checkpointsOf } from './run-folder/layout.js';
import type { Progress } from './run-folder/progress.js';
import { loadNewestState, type ParameterShapes } from './run-folder/training-state.js';
import type { Task } from './task.js';
import { initTrainState, type StepMetrics, type TrainState, type TrainStepOptions } from './train-step.js';

export type TrainOptions = TrainStepOptions & {
  steps: number;
  seed: number;
  /** In steps. */
  schedule: ScheduleOptions;
  /** Folder of the run; checkpoints stand in `checkpoints` below it. */
  out: string;
  /** Continue from the newest checkpoint. */
  resume: boolean;
  /** Steps between checkpoints; the last step writes one too. */
  checkpointEvery: number;
  /** How many of the newest checkpoints stay. */
  keepCheckpoints: number;
  /** Steps between validations, and between pictures. */
  validateEvery: number;
  drawEvery: number;
  /** Times to roll back to the last checkpoint after a loss that is not finite. */
  nanRetries: number;
  /** Steps whose losses may still be on their way from the device; 0 reads each at once. */
  lossDelay: number;
  /** Default: one device, which takes the whole batch at once. */
  parallelism?: Parallelism;
  /** Stored in every checkpoint. */
  config: Record<string, unknown>;
  /** What the weights of every checkpoint say about themselves (see `describeWeights`). */
  metadata?: Record<string, string>;
  /** Shapes that the parameters of a checkpoint must have, by dotted name. */
  shapes?: ParameterShapes;
};

export type TrainResult = {
  state: TrainState;
  progress: Progress;
  /** Whether the run was asked to stop before its last step. */
  stopped: boolean;
};

/**
 * Trains a task. The caller owns the state that comes back.
 *
 * @param signal - when aborted, the run saves a checkpoint after the step in progress and returns
 * @throws NonFiniteLossError when a loss is not finite and no retry is left; the last checkpoint stays as it is
 */
export async function train<Batch>(
  task: Task<Batch>,
  options: TrainOptions,
  log: RunLog,
  signal?: AbortSignal,
): Promise<TrainResult> {
  const parallelism = options.parallelism ?? { devices: 1, microBatches: 1 };
  const trainStep = createParallelTrainStep(task.loss, { ...options, ...parallelism });
  let run = options.resume ? await restore(options, log) : await start(task, options);
  for (;;) {
    try {
      await makeFolder(checkpointsOf(options.out)); // not before the start has succeeded
      await log.begin(run.progress, options.steps);
      return await trainFrom(run, { task, options, log, signal, trainStep });
    } catch (error) {
      for (const state of run.states) disposeState(state);
      if (!(error instanceof NonFiniteLossError) || run.progress.retries >= options.nanRetries) throw error;
      const retries = run.progress.retries + 1;
      run = (await tryRestore(options, log)) ?? (await start(task, options));
      run.progress.retries = retries;
      log.say(`${error.message}. Rolled back to step ${run.progress.step}, retry ${retries} of ${options.nanRetries}.`);
    }
  }
}

/** The state stands on each device; what is saved and looked at is the first one's. */
type Run = { states: TrainState[]; progress: Progress };

type Context<Batch> = {
  task: Task<Batch>;
  options: TrainOptions;
  log: RunLog;
  signal?: AbortSignal;
  trainStep: ReturnType<typeof createParallelTrainStep>;
};

/** Takes over `state`. */
function place(state: TrainState, { parallelism }: TrainOptions): TrainState[] {
  try {
    return tidyTree(() => replicate(state, parallelism?.devices ?? 1));
  } finally {
    disposeState(state);
  }
}

async function start<Batch>(task: Task<Batch>, options: TrainOptions): Promise<Run> {
  const { seed, config } = options;
  const params = await initParameters(task, seed);
  try {
    const progress = { step: 0, retries: 0, smoothedLoss: null, seconds: 0, seed, config };
    return { states: place(initTrainState(params), options), progress };
  } finally {
    disposeTree(params); // the states have their own
  }
}

async function initParameters<Batch>(task: Task<Batch>, seed: number): Promise<Parameters> {
  const key = randomKey(seed);
  try {
    return await task.init(key);
  } finally {
    key.dispose();
  }
}

async function tryRestore(options: TrainOptions, log: RunLog): Promise<Run | undefined> {
  const found = await loadNewestState(options.out, options.shapes);
  if (!found) return undefined;
  for (const damage of found.damaged) log.say(`passed over a damaged checkpoint: ${damage}`);
  return { states: place(found.state, options), progress: { ...found.progress, config: options.config } };
}

async function restore(options: TrainOptions, log: RunLog): Promise<Run> {
  const run = await tryRestore(options, log);
  if (run) return run;
  throw new Error(`there is no checkpoint to resume from in ${checkpointsOf(options.out)}`);
}

/** From where the run stands to its end, a stop signal, or a loss that is not finite. */
async function trainFrom<Batch>(run: Run, context: Context<Batch>): Promise<TrainResult> {
  const { task, options, log } = context;
  const { progress } = run;
  const batches = task.openBatches(progress.step);
  const losses = createLossQueue(options.lossDelay, progress, batches, log);
  try {
    await runSteps(run, batches, losses, context);
    const [state, ...copies] = run.states;
    for (const copy of copies) disposeState(copy);
    return { state, progress, stopped: progress.step < options.steps };
  } finally {
    losses.drop();
    await batches.close();
    log.pause();
  }
}

/** The loop itself. */
async function runSteps<Batch>(
  run: Run,
  batches: BatchSource<Batch>,
  losses: LossQueue<Batch>,
  context: Context<Batch>,
): Promise<void> {
  const { task, options, log, signal } = context;
  const { progress } = run;
  const frozen = tidyTree(() => replicate(task.frozen, run.states.length));
  // Every retry draws other masks and dropout, in case the last ones were the trouble.
  const runKey = randomKey(BigInt(options.seed) + (BigInt(1 + progress.retries) << 40n));
  let saved = options.resume && progress.step > 0 ? progress.step : -1;
  const save = async () => {
    await losses.settle();
    if (saved !== progress.step) await saveProgress(run, options, log);
    saved = progress.step;
  };
  try {
    while (progress.step < options.steps && !signal?.aborted) {
      const batch = await batches.next();
      const learningRate = learningRateAt(options.schedule, progress.step);
      const metrics = update(run, batch, { frozen, runKey, learningRate }, context);
      progress.step++;
      await losses.add({ step: progress.step, learningRate, metrics, batch });
      if (isDue(progress.step, options.checkpointEvery, options.steps)) await save();
      await lookAt(run, context);
      await new Promise(setImmediate); // lets signals in where the engine computes in this thread
    }
    await save();
  } finally {
    disposeTree([runKey, frozen]);
  }
}

type UpdateInputs = { frozen: Tree<tf.Tensor>[]; runKey: Key; learningRate: number };

/** One step of the optimizer. @returns its metrics; when it throws, the states are what they were */
function update<Batch>(
  run: Run,
  batch: Batch,
  { frozen, runKey, learningRate }: UpdateInputs,
  { task, options, trainStep }: Context<Batch>,
): StepMetrics {
  const { step, retries } = run.progress;
  const { states, metrics } = tidyTree(() => {
    const tensors = task.toTensors(batch, hostRandom(options.seed, hostStream, retries, step));
    const inputs = { learningRate: tf.scalar(learningRate), step: tf.scalar(step, 'int32'), runKey };
    return trainStep(run.states, frozen, tensors, inputs);
  });
  run.states = states;
  return metrics;
}

/** Keeps what is drawn on the host apart from the data order, which has the same seed. */
const hostStream = 1_000_003;

const isDue = (step: number, every: number, last: number) => step % every === 0 || step === last;

async function saveProgress({ states, progress }: Run, options: TrainOptions, log: RunLog): Promise<void> {
  const { out, keepCheckpoints: keep, metadata } = options;
  const { leftovers } = await saveCheckpoint(out, states[0], progress, { keep, metadata });
  for (const leftover of leftovers) log.say(leftover);
}

/** Validation, pictures and the report, where they are due. */
async function lookAt<Batch>(run: Run, { task, options, log }: Context<Batch>): Promise<void> {
  const { step } = run.progress;
  const { ema } = run.states[0];
  if (task.validate && isDue(step, options.validateEvery, options.steps)) {
    log.validation(step, await task.validate(ema));
  }
  if (task.draw && isDue(step, options.drawEvery, options.steps)) {
    await log.picture(step, await task.draw(ema));
  }
  if (isDue(step, options.drawEvery, options.steps)) await log.report();
}

type Pending<Batch> = { step: number; learningRate: number; metrics: StepMetrics; batch: Batch };

type LossQueue<Batch> = ReturnType<typeof createLossQueue<Batch>>;

/** Reads losses a few steps late, so that the device never waits for the host. */
function createLossQueue<Batch>(delay: number, progress: Progress, batches: BatchSource<Batch>, log: RunLog) {
  const queue: Pending<Batch>[] = [];
  const settleOne = async () => {
    const { step, learningRate, metrics, batch } = queue[0]; // stays there until it is read: `drop` disposes it
    const values: Record<string, number> = {};
    for (const [name, metric] of Object.entries(metrics)) values[name] = (await metric.data())[0];
    tf.dispose(metrics);
    queue.shift();
    const { loss, gradientNorm } = values;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw new NonFiniteLossError(step, loss, batches.describe(batch));
    }
    progress.smoothedLoss = progress.smoothedLoss === null ? loss : 0.98 * progress.smoothedLoss + 0.02 * loss;
    progress.seconds = log.step(
      step,
      { ...values, learningRate, smoothedLoss: progress.smoothedLoss },
      batches.batchSize,
    );
  };
  return {
    async add(pending: Pending<Batch>) {
      queue.push(pending);
      while (queue.length > delay) await settleOne();
    },
    async settle() {
      while (queue.length > 0) await settleOne();
    },
    /** Gives up what was not read. */
    drop() {
      for (const { metrics } of queue) tf.dispose(metrics);
      queue.length = 0;
    },
  };
}

/** Frees every tensor of a state. */
export function disposeState({ params, ema, optimizer }: TrainState): void {
  disposeTree([params, ema, optimizer.firstMoment, optimizer.secondMoment, optimizer.step]);
}
