import { lockFolder, makeFolder } from '@tb/io';
import {
  backendTraits,
  disposeTree,
  hostRandom,
  type Key,
  type ProcessGroup,
  randomKey,
  replicate,
  type TensorTree,
  tidyTree,
} from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertSameRun } from './agreement.js';
import { type CheckpointSaver, createCheckpointSaver } from './checkpoint-saver.js';
import { assertShare, type BatchShare, shareOfBatch } from './data/batch-share.js';
import type { BatchSource } from './data/batches.js';
import type { RunLog } from './log/run-log.js';
import { createLossQueue, type LossQueue, NonFiniteLossError } from './loss-queue.js';
import { learningRateAt } from './optimizer/schedule.js';
import { prepareAhead, untilReadyOrStopped } from './prepare-ahead.js';
import { checkpointsOf } from './run-folder/layout.js';
import type { Progress } from './run-folder/progress.js';
import { loadSharedState } from './run-folder/shared-state.js';
import type { Task, TrainOptions } from './task.js';
import { createTrainStep, initTrainState, parallelismOf, type StepMetrics, type TrainState } from './train-step.js';
import { type WatchedProgress, watchProgress } from './watched-progress.js';

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
 * In a group of processes (see `backendTraits`), all call this with the same options, and train together: process 0 writes
 * checkpoints, log and images, and each reads its share of every batch. A signal to any of them stops all after the same
 * step.
 *
 * @param signal - when aborted, the run saves a checkpoint after the step in progress and returns; in a group, some steps
 *   (`lossDelay`) later
 * @throws NonFiniteLossError when a loss is not finite and no retry is left; the last checkpoint stays as it is;
 *   FolderInUseError when another process works in the run folder
 */
export async function train<Params extends TensorTree, Batch>(
  task: Task<Params, Batch>,
  options: TrainOptions,
  log: RunLog,
  signal?: AbortSignal,
): Promise<TrainResult<Params>> {
  const { processes } = backendTraits();
  assertSameRun(processes, options);
  const training = { task, options, log, signal, processes, trainStep: createTrainStep(task.loss, options) };
  let run = options.resume ? await restore<Params>(training) : await start(task, options);
  for (;;) {
    let leave = async () => {};
    try {
      if (processes.index === 0) {
        await makeFolder(checkpointsOf(options.out)); // not before the start has succeeded
        leave = await lockFolder(options.out);
      }
      await log.begin(run.progress, options.steps);
      return await trainFrom(run, training);
    } catch (error) {
      disposeTree(run.states);
      if (!(error instanceof NonFiniteLossError) || run.progress.retries >= options.nanRetries) throw error;
      const retries = run.progress.retries + 1;
      run = (await tryRestore<Params>(training)) ?? (await start(task, options));
      run.progress.retries = retries;
      log.print(
        `${error.message}. Rolled back to step ${run.progress.step}, retry ${retries} of ${options.nanRetries}.`,
      );
    } finally {
      await leave();
    }
  }
}

/** What the steps of a run use. */
type Loop<Batch> = {
  losses: LossQueue<Batch>;
  saver: CheckpointSaver;
  share: BatchShare;
  watched: WatchedProgress;
};

/** Where a run is. Each device of this process has a copy of the state; the first one is saved, validated and drawn. */
type Run<Params extends TensorTree> = { states: TrainState<Params>[]; progress: Progress };

/** What stays the same for a run. */
type Training<Params extends TensorTree, Batch> = {
  task: Task<Params, Batch>;
  options: TrainOptions;
  log: RunLog;
  signal?: AbortSignal;
  processes: ProcessGroup;
  trainStep: ReturnType<typeof createTrainStep<Params, TensorTree, TensorTree>>;
};

/** Trains until the last step, a stop signal, or a loss that is not finite. */
async function trainFrom<Params extends TensorTree, Batch>(
  run: Run<Params>,
  training: Training<Params, Batch>,
): Promise<TrainResult<Params>> {
  const { task, options, log, processes } = training;
  const { progress } = run;
  const share = shareOfBatch(parallelismOf(options), processes);
  const batches = task.openBatches(progress.step, share);
  const losses = createLossQueue(options.lossDelay, progress, batches, log);
  const saver = createCheckpointSaver(run, losses, { ...options, isWriter: processes.index === 0 }, log);
  const watched = watchProgress(options, processes);
  try {
    await runSteps(run, batches, { losses, saver, share, watched }, training);
    const [state, ...copies] = run.states;
    disposeTree(copies);
    return { state, progress, stopped: progress.step < options.steps };
  } finally {
    watched.close();
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
// In a group of processes, the gradients meet in 3; only process 0 does 5 and 6, while the others wait in the next 3. What
// decides the course of the run is the same in all of them: the loss, and the wish of any process to stop, are means over
// all devices.
async function runSteps<Params extends TensorTree, Batch>(
  run: Run<Params>,
  batches: BatchSource<Batch>,
  { losses, saver, share, watched }: Loop<Batch>,
  training: Training<Params, Batch>,
): Promise<void> {
  const { task, options, log, signal, processes } = training;
  const { progress } = run;
  if (progress.step < options.steps)
    log.print(`step ${progress.step + 1}: the first step takes longer than later ones`);
  const constants = tidyTree(() => replicate(task.constants, parallelismOf(options).devices));
  // Every retry draws other masks and dropout, in case the last ones were the trouble.
  const runKey = randomKey(BigInt(options.seed) + (BigInt(1 + progress.retries) << 40n));
  const isSingle = processes.count === 1;
  // Several processes compile in one order, which only the steps have.
  const ahead = prepareAhead(isSingle ? task : {}, training.trainStep, {
    states: () => run.states,
    constants,
    runKey,
    images: batches.batchSize,
    random: randomOfStep(progress, options),
  });
  try {
    const isStopped = () => (isSingle ? signal?.aborted : losses.isStopWished);
    while (progress.step < options.steps && !isStopped()) {
      watched.step(progress.step + 1);
      const batch = { own: await batches.next(), share, images: batches.batchSize };
      const learningRate = learningRateAt(options.schedule, progress.step);
      const metrics = await updateStates(run, batch, { constants, runKey, learningRate }, training);
      if (!metrics) break;
      progress.step++;
      await losses.add({ step: progress.step, learningRate, metrics, batch: batch.own });
      if (isDue(progress.step, options.checkpointEvery, options.steps)) {
        watched.phase(progress.step, 'saving');
        await saver.save();
      }
      saver.throwIfFailed();
      if (isPaused(progress.step, options)) watched.phase(progress.step, 'validating or drawing');
      if (processes.index === 0) await validateAndDraw(run, training);
      await new Promise(setImmediate); // lets signals in where operations run in this thread
    }
    watched.phase(progress.step, 'saving');
    await saver.save();
  } finally {
    ahead.stop();
    disposeTree([runKey, constants]);
  }
}

/**
 * Makes one step, once its program is ready. Returns its metrics, or undefined if the run was stopped before that. If it throws,
 * the states are what they were.
 */
async function updateStates<Params extends TensorTree, Batch>(
  run: Run<Params>,
  { own, share, images }: { own: Batch; share: BatchShare; images: number },
  { constants, runKey, learningRate }: { constants: TensorTree[]; runKey: Key; learningRate: number },
  { task, options, trainStep, processes, signal }: Training<Params, Batch>,
): Promise<StepMetrics | undefined> {
  const { step } = run.progress;
  const { tensors, inputs } = tidyTree(() => ({
    tensors: task.toTensors(own, randomOfStep(run.progress, options), share, images),
    inputs: {
      learningRate: tf.scalar(learningRate),
      step: tf.scalar(step, 'int32'),
      ...(processes.count > 1 && { stop: tf.scalar(signal?.aborted ? 1 : 0) }),
    },
  }));
  try {
    assertShare(tensors, share, images);
    const stepInputs = { ...inputs, runKey };
    if (processes.count === 1) {
      await untilReadyOrStopped(trainStep.prepare(run.states, constants, tensors, stepInputs), signal);
      if (signal?.aborted) return undefined;
    }
    const { states, metrics } = trainStep(run.states, constants, tensors, stepInputs);
    run.states = states;
    return metrics;
  } finally {
    disposeTree([tensors, inputs]);
  }
}

/** The random numbers that a step draws on the host. */
const randomOfStep = ({ step, retries }: Progress, { seed }: TrainOptions) =>
  hostRandom(seed, hostStream, retries, step);

/** Keeps what is drawn on the host apart from the data order, which has the same seed. */
const hostStream = 1_000_003;

const isDue = (step: number, every: number, last: number) => step % every === 0 || step === last;

/** Whether validation, images or the report are due after a step. */
const isPaused = (step: number, { validateEvery, drawEvery, steps }: TrainOptions) =>
  isDue(step, validateEvery, steps) || isDue(step, drawEvery, steps);

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

/** What is needed to load a checkpoint. */
type Restoring = { options: TrainOptions; log: RunLog; processes: ProcessGroup };

async function restore<Params extends TensorTree>(restoring: Restoring): Promise<Run<Params>> {
  const { options } = restoring;
  const run = await tryRestore<Params>(restoring, options.onResume);
  if (run) return run;
  throw new Error(`there is no checkpoint to resume from in ${checkpointsOf(options.out)}`);
}

/** The run at its newest checkpoint, if there is one. `options.shapes` makes sure that it holds such parameters. */
async function tryRestore<Params extends TensorTree>(
  { options, log, processes }: Restoring,
  check?: TrainOptions['onResume'],
): Promise<Run<Params> | undefined> {
  options.onProgress?.({ step: 0, phase: 'loading a checkpoint', limitMs: 60 * 60_000 });
  const { shapes } = options;
  const checkpoint = await loadSharedState(options.out, processes, { shapes, check });
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
