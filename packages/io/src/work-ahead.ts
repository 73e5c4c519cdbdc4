/**
 * One stage of a pipeline: does work on items ahead of whoever takes the results, and hands the results out in the order
 * of the items. Stages that follow one another run at the same time; the bounds of each limit what is in memory:
 *
 *     const decoded = workAhead(files, decode, 16);
 *     const encoded = workAhead(batchesOf(decoded), encode, 2);
 *     for await (const batch of encoded) await write(batch);
 *
 * At most `most` items are in work or wait finished for their turn; one more waits to begin. Work begins when the first
 * result is asked for. After an error, of the items or of the work, no further work begins; the results of earlier items
 * are handed out, then the error is thrown. When it ends, however it ends, no work is in progress and the items are
 * closed: so leaving the loop stops every stage before it.
 *
 * @param work - called with one item after the other; synchronous work is done too, but then nothing overlaps
 * @param most - at least 1
 * @throws what the items and the work throw, the first in the order of the items
 */
export async function* workAhead<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  work: (item: Item) => Promise<Result> | Result,
  most: number,
): AsyncGenerator<Result, void, undefined> {
  if (!(most >= 1)) throw new RangeError(`workAhead: most must be at least 1, got ${most}`);
  const results: Promise<Result>[] = [];
  const changes = createSignal();
  let hasEnded = false;
  let isStopped = false;
  const begin = (task: () => Promise<Result> | Result) => {
    const result = (async () => task())();
    result.catch(() => {
      isStopped = true; // the error itself is thrown when its turn comes
      changes.raise();
    });
    results.push(result);
    changes.raise();
  };
  const feed = async () => {
    try {
      for await (const item of items) {
        while (results.length >= most && !isStopped) await changes.next();
        if (isStopped) break;
        begin(() => work(item));
      }
    } catch (error) {
      begin(() => Promise.reject(error));
    }
    hasEnded = true;
    changes.raise();
  };
  const feeding = feed();
  try {
    for (;;) {
      while (results.length === 0 && !hasEnded) await changes.next();
      if (results.length === 0) return;
      const result = await results[0];
      results.shift();
      changes.raise();
      yield result;
    }
  } finally {
    isStopped = true;
    changes.raise();
    await feeding;
    await Promise.allSettled(results);
  }
}

/** Wakes everybody who waits, each time it is raised. */
function createSignal() {
  let waiting: (() => void)[] = [];
  return {
    next: () => new Promise<void>((resolve) => waiting.push(resolve)),
    raise() {
      const woken = waiting;
      waiting = [];
      for (const wake of woken) wake();
    },
  };
}
