// What batches of images and of latents have in common: they are made ahead, in an order that depends on the seed.
import { hostRandom } from '@tb/runtime';

/** What the training loop reads: batch `step` is a function of the step alone. */
export type BatchSource<Batch> = {
  /** Number of distinct samples. */
  readonly samplesPerEpoch: number;
  /** Images of a complete batch; in a group of processes, each reads its share. */
  readonly batchSize: number;
  /** The next batch; the first is that of the step at which the source was opened. */
  next(): Promise<Batch>;
  /** Names the samples of a batch, for messages. */
  describe(batch: Batch): string;
  close(): Promise<void>;
};

/**
 * Runs `make` for a few steps ahead, so that making batches overlaps with computing on them.
 *
 * @param ahead - number of batches that are being made at any time
 */
export function prefetch<Batch>(make: (step: number) => Promise<Batch>, firstStep: number, ahead: number) {
  const queue: Promise<Batch>[] = [];
  let step = firstStep;
  const start = () => {
    const batch = make(step++);
    batch.catch(() => {}); // an error is thrown by the `next` that reaches it
    queue.push(batch);
  };
  return {
    next(): Promise<Batch> {
      while (queue.length < ahead + 1) start();
      return queue.shift()!;
    },
  };
}

/** The sample at each position of an endless run: every epoch is another random order of all samples. */
export type DataOrder = {
  /** @param position - number of samples drawn before this one, from 0 */
  at(position: number): { index: number; epoch: number };
};

/**
 * The order is a function of seed and position alone, so it is the same on every backend, for any batch size, and
 * after a resume.
 *
 * @param length - samples in an epoch
 */
export function createDataOrder(length: number, seed: number): DataOrder {
  const orders = new Map<number, ArrayLike<number>>();
  return {
    at(position) {
      const epoch = Math.floor(position / length);
      const order = orders.get(epoch) ?? hostRandom(seed, epoch).permutation(length);
      orders.set(epoch, order);
      orders.delete(epoch - 2); // batches that are being made may span two epochs
      return { index: order[position % length], epoch };
    },
  };
}
