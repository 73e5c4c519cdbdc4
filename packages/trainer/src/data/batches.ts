/** What the training loop reads: batch `step` is a function of the step alone. */
export type BatchSource<Batch> = {
  /** Number of distinct samples. */
  readonly samplesPerEpoch: number;
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
 * @param ahead - batches in the making at any time
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
