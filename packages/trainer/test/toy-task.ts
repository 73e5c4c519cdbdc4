import { dropoutMask, hostRandom } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { completeBatch, takeRows } from '../src/data/batch-share.js';
import { createDataOrder, prefetch } from '../src/data/batches.js';
import type { Task, TrainOptions } from '../src/task.js';

export type ToyBatch = { x: Float32Array; indices: number[] };

export type ToyTask = Task<{ weight: tf.Tensor; bias: tf.Tensor }, ToyBatch, { x: tf.Tensor; noise: tf.Tensor }>;

/** Samples of an epoch. */
export const samples = 10;
export const batchSize = 4;

/** Fits a vector to noisy samples, with dropout: small, and exercises every source of randomness of a run. */
export function toyTask({
  poisonedStep,
  onBatch,
  keepProbability = 0.9,
}: {
  /** Whether the batch of a step makes the loss NaN. */
  poisonedStep?: (step: number) => boolean;
  /** Called when the batch of a step is made, up to three steps ahead of the training. */
  onBatch?: (step: number) => void;
  keepProbability?: number;
} = {}): ToyTask {
  const order = createDataOrder(samples, 5);
  return {
    init: () => ({ weight: tf.tensor2d([[0.1, -0.2, 0.3, 0.4]]), bias: tf.tensor1d([1, 1, -1, 1]) }),
    constants: {},
    loss: ({ weight, bias }, _, { x, noise }, key) => {
      const kept = tf.mul(x, dropoutMask(key, x.shape, keepProbability));
      const error = tf.sub(tf.add(weight, bias), tf.add(kept, noise));
      return { loss: tf.mean(tf.square(error)), metrics: { absolute: tf.mean(tf.abs(error)) } };
    },
    openBatches: (firstStep, share = completeBatch) => ({
      samplesPerEpoch: samples,
      batchSize,
      next: prefetch(async (step) => makeBatch(step, share.rowsOf(batchSize)), firstStep, 2).next,
      describe: ({ indices }: ToyBatch) => `samples ${indices.join(', ')}`,
      close: async () => {},
    }),
    toTensors: ({ x, indices }, random, share = completeBatch, images = indices.length) => ({
      x: tf.tensor2d(x, [indices.length, 4]),
      noise: takeRows(
        tf.tensor2d(
          Array.from({ length: images * 4 }, () => 0.01 * random.normal()),
          [images, 4],
        ),
        share,
        images,
      ),
    }),
  };

  function makeBatch(step: number, rows: readonly number[]): ToyBatch {
    onBatch?.(step);
    const indices = rows.map((row) => order.at(step * batchSize + row).index);
    const x = Float32Array.from(
      indices.flatMap((index) => Array.from({ length: 4 }, (_, i) => hostRandom(9, index, i).normal())),
    );
    if (poisonedStep?.(step) && rows.includes(0)) x[0] = Number.NaN;
    return { x, indices };
  }
}

export function toyOptions(out: string, changes: Partial<TrainOptions> = {}): TrainOptions {
  return {
    out,
    steps: 20,
    seed: 1,
    schedule: { kind: 'cosine', peak: 0.05, minimum: 0, warmup: 5, total: 20 },
    adamw: { betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0.02 },
    clipNorm: 1,
    emaRate: 0.9,
    resume: false,
    checkpointEvery: 4,
    keepCheckpoints: 2,
    validateEvery: 1000,
    drawEvery: 1000,
    nanRetries: 0,
    lossDelay: 0,
    config: { toy: true },
    ...changes,
  };
}
