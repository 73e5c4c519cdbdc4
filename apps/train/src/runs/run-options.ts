import { type EngineValues, UsageError } from '@tb/command-line';
import { deviceCount } from '@tb/runtime';
import type { TrainOptions } from '@tb/trainer';
import type { RunValues } from '../options/tables.js';
import { type BatchPlan, planBatch } from './plan-batch.js';

/** Passes on an accelerator whose losses may still be on their way. */
const acceleratorDelay = 8;

export type RunOptions = TrainOptions & { parallelism: BatchPlan };

/**
 * What the training loop needs, from the options of a run.
 *
 * @param samples - pictures in one epoch
 * @param config - everything that was resolved, to be stored with the checkpoints
 */
export function trainOptionsOf(
  values: RunValues & EngineValues,
  samples: number,
  backend: string,
  config: Record<string, unknown>,
): RunOptions {
  const parallelism = planBatch(values, { backend, available: deviceCount() });
  const { batch = 64, epochs, baseLearningRate = 1e-4 } = values;
  const stepsPerEpoch = samples / batch;
  const steps = values.steps ?? (epochs === undefined ? undefined : Math.round(epochs * stepsPerEpoch));
  if (steps === undefined || steps < 1) throw new UsageError('--steps or --epochs must say how long to train');
  const warmup = values.warmupSteps ?? Math.round((values.warmupEpochs ?? 0) * stepsPerEpoch);
  const peak = values.learningRate ?? (baseLearningRate * batch) / 256;
  return {
    steps,
    seed: values.seed ?? 0,
    schedule: {
      kind: values.schedule ?? 'cosine',
      peak,
      minimum: values.minimumLearningRate ?? 0,
      warmup,
      total: steps,
    },
    adamw: {
      betas: [values.beta1 ?? 0.9, values.beta2 ?? 0.95],
      epsilon: 1e-8,
      weightDecay: values.weightDecay ?? 0,
    },
    clipNorm: values.clip ?? Number.POSITIVE_INFINITY,
    emaRate: values.ema ?? 0.9999,
    precision: values.precision,
    out: values.out!,
    resume: values.resume ?? false,
    checkpointEvery: values.checkpointEvery ?? 1000,
    keepCheckpoints: values.keepCheckpoints ?? 3,
    validateEvery: values.validateEvery ?? 1000,
    drawEvery: values.drawEvery ?? 1000,
    nanRetries: values.nanRetries ?? 0,
    lossDelay: backend === 'xla' ? Math.ceil(acceleratorDelay / parallelism.microBatches) : 0,
    parallelism,
    config,
  };
}
