// Runs training for tb-train vae, model and features, from resolved values to the end of the run.
import { listenForStop, prepareFolder, UsageError } from '@tb/command-line';
import { countParameters } from '@tb/nn';
import {
  type BackendTraits,
  backendTraits,
  disposeTree,
  type JoinedProcesses,
  meetProcesses,
  type TensorTree,
} from '@tb/runtime';
import {
  defaultAdamW,
  learningRateAt,
  openRun,
  type Parallelism,
  type RunLog,
  type ScheduleOptions,
  scaledLearningRate,
  type Task,
  type TrainOptions,
  type TrainState,
  train,
} from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { isFirst, reportOf } from './group.js';
import type { Length, TrainingValues } from './options/training.js';

/** The values that every run has, whatever it trains. */
export type RunValues = Omit<TrainingValues, 'drawEvery' | 'half'>;

/** What a run passes to the training loop besides its values. */
export type TrainingRun = {
  /** Images in one epoch. */
  samples: number;
  drawEvery: number;
  /** The resolved options, which checkpoints store. */
  config: Record<string, unknown>;
} & Pick<TrainOptions, 'data' | 'metadata' | 'onResume' | 'shapes'>;

/** Makes the run folder, in the process that writes there. @throws UsageError when it cannot be used */
export async function prepareRunFolder(
  { out, resume }: Pick<RunValues, 'out' | 'resume'>,
  group?: JoinedProcesses,
): Promise<void> {
  if (!isFirst(group)) return;
  await prepareFolder('--out', out);
  if (!resume && (await openRun(out).hasCheckpoints())) {
    throw new UsageError(`--out ${out} holds a run already: continue it with --resume, or choose another folder`);
  }
}

/** What a run needs besides the training loop. */
export type RunContext<Params extends TensorTree> = {
  log: RunLog;
  /** Writes the results, and returns lines that describe them. */
  finish: (state: TrainState<Params>) => Promise<string[]>;
  /** The processes that train together, if there are several: process 0 writes, and all end together. */
  group?: JoinedProcesses;
};

/**
 * Trains to the end and hands the state to `finish`; or, stopped by a signal, leaves a checkpoint and the exit code of the
 * signal. A report is written either way.
 */
export async function runTraining<Params extends TensorTree, Batch>(
  task: Task<Params, Batch>,
  values: RunValues,
  run: TrainingRun,
  { log, finish, group }: RunContext<Params>,
): Promise<void> {
  const plan = planBatch(values, { backend: tf.getBackend(), traits: backendTraits() });
  const options = trainOptionsOf(values, plan, run);
  for (const line of [...describePlan(plan), ...adviseOnWarmup(options.schedule)]) reportOf(group)(line);
  const stop = listenForStop();
  try {
    const onProgress = group?.report.bind(group);
    const { state, progress, stopped } = await train(task, { ...options, onProgress }, log, stop.signal);
    if (isFirst(group)) {
      const notes = stopped
        ? [`Stopped at step ${progress.step} of ${options.steps}; continue with --resume --out ${options.out}`]
        : [`${countParameters(state.params).toLocaleString('en-US')} parameters`, ...(await finish(state))];
      for (const note of notes) console.error(note);
      console.error(`report: ${await log.report(notes)}`);
    }
    disposeTree(state);
    await endTogether(group);
    process.exitCode = stop.exitCode() || (group && stopped ? stoppedByAnother : 0);
  } catch (error) {
    throw adviseOnMemory(error, plan);
  } finally {
    stop.close();
  }
}

/** The exit code of a process that stops because another one got a signal: that of SIGTERM. */
const stoppedByAnother = 143;

/** Waits until process 0 has written its results, and leaves the job. */
async function endTogether(group: JoinedProcesses | undefined): Promise<void> {
  if (!group) return;
  await meetProcesses(group, 'end', { timeoutMs: finishMs });
  await group.close();
}

/** Process 0 may have large weights to write, and images to measure. */
const finishMs = 60 * 60_000;

/** How many passes an accelerator may run ahead of the losses that are read. */
const acceleratorDelay = 8;

/** Makes the options of the training loop. */
export function trainOptionsOf(values: RunValues, plan: BatchPlan, { samples, ...run }: TrainingRun): TrainOptions {
  const { batch, peak, beta1, beta2, weightDecay } = values;
  const steps = stepsOf(values.length, batch, samples);
  if (steps < 1) throw tooShort(values.length, batch, samples);
  return {
    steps,
    seed: values.seed,
    schedule: {
      kind: values.schedule,
      peak: 'learningRate' in peak ? peak.learningRate : scaledLearningRate(peak.baseLearningRate, batch),
      minimum: values.minimumLearningRate,
      warmup: stepsOf(values.warmup, batch, samples),
      total: steps,
    },
    adamw: { betas: [beta1, beta2], epsilon: defaultAdamW.epsilon, weightDecay },
    clipNorm: values.clip,
    emaRate: values.ema,
    precision: values.precision,
    out: values.out,
    resume: values.resume,
    checkpointEvery: values.checkpointEvery,
    keepCheckpoints: values.keepCheckpoints,
    validateEvery: values.validateEvery,
    nanRetries: values.nanRetries,
    lossDelay: plan.traits.runsAhead ? Math.ceil(acceleratorDelay / plan.microBatches) : 0,
    saveInBackground: plan.traits.runsAhead, // elsewhere steps leave this thread no time to write
    parallelism: plan,
    ...run,
  };
}

const stepsOf = (length: Length, batch: number, samples: number) =>
  'steps' in length ? length.steps : Math.round((length.epochs * samples) / batch);

/** Makes the error for a number of epochs that rounds to no update. */
function tooShort(length: Length, batch: number, samples: number): UsageError {
  if (!('epochs' in length) || length.epochs === 0) return new UsageError('--epochs must be more than 0');
  const images = `${count(length.epochs, 'epoch')} of ${count(samples, 'image')}`;
  return new UsageError(
    `--epochs ${length.epochs} is too short for --batch ${batch}: ${images} is less than half a batch, so there is no update; ` +
      'choose a smaller --batch or more --epochs, or set --steps',
  );
}

/** How each batch is shared among devices and passes. */
export type BatchPlan = Parallelism &
  Machine & {
    /** Images per update. */
    batch: number;
  };

/** A backend's name, for messages, and its traits. */
export type Machine = { backend: string; traits: BackendTraits };

/** Images per pass on backends that keep the result of every operation: the 4 GB of WebAssembly hold hardly more. */
const defaultMicroBatch = 8;

/**
 * Plans how a batch is shared: as few passes as `--micro-batch` allows, all of the same size. Without it, one pass where
 * programs are compiled.
 *
 * @throws UsageError when there are too few devices, or the batch cannot be shared equally
 */
export function planBatch(
  { batch, devices: own, microBatch }: Pick<RunValues, 'batch' | 'devices' | 'microBatch'>,
  { backend, traits }: Machine,
): BatchPlan {
  const { compilesPerShape, processes } = traits;
  const available = devicesOfProcess(traits);
  const devices = own * processes.count;
  if (own > available) {
    const reason = compilesPerShape
      ? `only ${count(available, 'device')} here`
      : 'one device; several GPUs need --backend xla';
    throw new UsageError(`--devices ${own}: backend ${backend} has ${reason}`);
  }
  const share = batch / devices;
  if (!Number.isInteger(share)) {
    const sharers = processes.count > 1 ? `${devices}, the devices of all processes` : `--devices ${devices}`;
    throw new UsageError(`--batch ${batch} must be a multiple of ${sharers}, which share it equally`);
  }
  const most = microBatch ?? (compilesPerShape ? share : defaultMicroBatch);
  let microBatches = Math.ceil(share / most);
  while (share % microBatches !== 0) microBatches++;
  // On an accelerator a pass of few images takes nearly as long as one of many.
  if (compilesPerShape && 2 * (share / microBatches) < Math.min(most, share)) {
    const step = devices * most;
    throw new UsageError(
      `--batch ${batch} cannot be split into equal micro-batches of nearly ${most} images${devices > 1 ? ` on ${devices} devices` : ''}: ` +
        `choose --batch ${Math.max(1, Math.round(batch / step)) * step}, or another --micro-batch than ${most}`,
    );
  }
  return { backend, traits, batch, devices, microBatches };
}

/** How many devices each process has. */
const devicesOfProcess = ({ deviceCount, processes }: BackendTraits) => deviceCount / processes.count;

/** Describes the plan in words, and the devices that it leaves idle. */
export function describePlan({ batch, devices, microBatches, traits }: BatchPlan): string[] {
  const { count: processes } = traits.processes;
  const [own, available] = [devices / processes, devicesOfProcess(traits)];
  const share = batch / devices;
  const parts = [`batch: ${count(batch, 'image')} per update`];
  if (devices > 1)
    parts.push(`${share} on each of ${devices} devices${processes > 1 ? ` of ${processes} processes` : ''}`);
  if (microBatches > 1) parts.push(`in ${microBatches} micro-batches of ${share / microBatches}`);
  const where = processes > 1 ? ' of each process' : '';
  const idle = `${own} of ${available} devices${where} in use: --devices ${available} shares each batch among all of them`;
  return [parts.join(', '), ...(own < available ? [idle] : [])];
}

/** Warns of a warm-up that is longer than the run. */
export function adviseOnWarmup(schedule: ScheduleOptions): string[] {
  const { warmup, total, peak } = schedule;
  if (warmup <= total) return [];
  const percent = Number(((100 * learningRateAt(schedule, total)) / peak).toPrecision(2));
  return [
    `Warm-up (${warmup} steps) is longer than this run (${count(total, 'step')}): the learning rate reaches only ${percent}% of its ` +
      `target. Try --warmup-steps ${Math.ceil(total / 10)}.`,
  ];
}

/** Adds what to do to an error of exhausted memory; returns other errors as they are. */
export function adviseOnMemory(error: unknown, { batch, devices, microBatches }: BatchPlan): unknown {
  if (!(error instanceof Error) || !isOutOfMemory(error)) return error;
  const size = batch / devices / microBatches;
  const smaller = size > 1 ? `a --micro-batch below ${size} or a smaller --image-size` : 'a smaller --image-size';
  const advice = `${smaller} needs less memory, and so does --rematerialize of tb-train model`;
  const cause = error instanceof WebAssembly.RuntimeError ? '' : `${error.message}\n`; // `Aborted()` explains nothing
  return new Error(`${cause}The memory is exhausted: ${advice}`, { cause: error });
}

/** Whether an error means that memory is exhausted. WebAssembly throws its own kind of error when its 4 GB are used up. */
const isOutOfMemory = (error: Error & { code?: unknown }) =>
  error.code === 'RESOURCE_EXHAUSTED' || error instanceof WebAssembly.RuntimeError;

const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
