import { disposeTree } from '@tb/runtime';
import type { BatchSource } from './data/batches.js';
import type { RunLog } from './log/run-log.js';
import type { Progress } from './run-folder/progress.js';
import type { StepMetrics } from './train-step.js';

/** Loss or gradients of a step were NaN or infinite; the update was not made. */
export class NonFiniteLossError extends Error {
  override readonly name = 'NonFiniteLossError';

  constructor(
    /** Number of the step, counted from 1. */
    readonly step: number,
    readonly loss: number,
    /** What the batch was made of. */
    readonly batch: string,
  ) {
    super(`the loss of step ${step} is ${loss}; its batch: ${batch}`);
  }
}

/** A step whose metrics have not been read yet. */
type UnreadStep<Batch> = { step: number; learningRate: number; metrics: StepMetrics; batch: Batch };

/** The metrics of the latest steps, on their way from the device to the log. */
export type LossQueue<Batch> = {
  /** Whether a process wished to stop, by what was read. The same in all processes after the same step. */
  readonly isStopWished: boolean;
  /** Adds a step, and reads those that more than `delay` steps have followed. */
  add(step: UnreadStep<Batch>): Promise<void>;
  /** Reads all of them. */
  readAll(): Promise<void>;
  /** Disposes what was not read. */
  drop(): void;
};

/**
 * A queue that reads each loss `delay` steps late, so that the device never waits for the host. What it reads goes to the
 * log, and into the smoothed loss of `progress`.
 *
 * @throws NonFiniteLossError (from `add` and `readAll`) at a loss or gradient norm that is NaN or infinite
 */
export function createLossQueue<Batch>(
  delay: number,
  progress: Progress,
  batches: BatchSource<Batch>,
  log: RunLog,
): LossQueue<Batch> {
  const queue: UnreadStep<Batch>[] = [];
  let isStopWished = false;
  const readFirst = async () => {
    const { step, learningRate, metrics, batch } = queue[0]; // it stays queued until it is read: `drop` disposes it
    const values: Record<string, number> = {};
    for (const [name, metric] of Object.entries(metrics)) values[name] = (await metric.data())[0];
    disposeTree(metrics);
    queue.shift();
    const { stop = 0, ...logged } = values;
    isStopWished ||= stop > 0;
    const { loss, gradientNorm } = logged;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw new NonFiniteLossError(step, loss, batches.describe(batch));
    }
    const { smoothedLoss: before } = progress;
    const smoothedLoss = before === null ? loss : 0.98 * before + 0.02 * loss;
    progress.smoothedLoss = smoothedLoss;
    progress.seconds = log.step(step, { ...logged, learningRate, smoothedLoss }, batches.batchSize);
  };
  return {
    get isStopWished() {
      return isStopWished;
    },
    async add(step) {
      queue.push(step);
      while (queue.length > delay) await readFirst();
    },
    async readAll() {
      while (queue.length > 0) await readFirst();
    },
    drop() {
      for (const { metrics } of queue) disposeTree(metrics);
      queue.length = 0;
    },
  };
}
