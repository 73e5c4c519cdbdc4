import { setTimeout as sleep } from 'node:timers/promises';

/** What this process waits for: the number of pieces that other processes have not finished yet. */
export type WaitOptions = {
  /** Counts the pieces that are missing; each call looks again. */
  missing: () => Promise<number>;
  /** Shows how many are missing. */
  onMissing?: (missing: number) => void;
  /** Ends the wait with its reason. */
  signal?: AbortSignal;
  /** How long to wait without a new piece; default half an hour. */
  timeoutMs?: number;
  /** Between two looks; default 1 s. */
  pollMs?: number;
};

/**
 * Waits until the other processes of a job have finished their shares, for the process that puts the shares together.
 * Looking at the files again and again also works on network file systems, which show files of other hosts late.
 *
 * @throws Error when nothing has come for too long
 */
export async function waitForShares(options: WaitOptions): Promise<void> {
  const { missing: count, onMissing, signal, timeoutMs = 30 * 60_000, pollMs = 1000 } = options;
  let last = Number.POSITIVE_INFINITY;
  let changedAt = performance.now();
  for (;;) {
    const missing = await count();
    if (missing === 0) return;
    if (missing !== last) changedAt = performance.now();
    last = missing;
    if (performance.now() - changedAt > timeoutMs)
      throw new Error(
        `${missing} results of other processes are missing, and none has come for ${Math.round(timeoutMs / 60_000)} minutes: ` +
          'run the same command again to make them',
      );
    onMissing?.(missing);
    await sleep(pollMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}
