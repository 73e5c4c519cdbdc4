import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { workAhead } from './work-ahead.js';

const take = async <T>(results: AsyncIterable<T>, into: T[] = []) => {
  for await (const result of results) into.push(result);
  return into;
};

/** Numbers from 0 on, which note whether they were closed and how many were taken. */
function numbers(count: number) {
  const state = { taken: 0, isClosed: false };
  async function* items() {
    try {
      for (let i = 0; i < count; i++) {
        state.taken = i + 1;
        yield i;
      }
    } finally {
      state.isClosed = true;
    }
  }
  return { items: items(), state };
}

/** Work that counts how much of it is in progress. */
function counted<Item, Result>(work: (item: Item) => Promise<Result>) {
  const state = { begun: 0, inProgress: 0, most: 0 };
  const run = async (item: Item) => {
    state.begun++;
    state.inProgress++;
    state.most = Math.max(state.most, state.inProgress);
    try {
      return await work(item);
    } finally {
      state.inProgress--;
    }
  };
  return { run, state };
}

describe('workAhead', () => {
  it('keeps the order, whatever takes longest, and does no more at once than it may', async () => {
    const { run, state } = counted(async (item: number) => {
      await sleep(item % 3 === 0 ? 6 : 1);
      return item * 2;
    });
    const { items, state: source } = numbers(20);
    expect(await take(workAhead(items, run, 4))).toEqual(Array.from({ length: 20 }, (_, i) => 2 * i));
    expect(state).toEqual({ begun: 20, inProgress: 0, most: 4 });
    expect(source.isClosed).toBe(true);
    expect(await take(workAhead([], run, 1))).toEqual([]);
    expect(await take(workAhead([3], (item) => item + 1, 1))).toEqual([4]);
  });

  it('waits when its results are not taken', async () => {
    const { run, state } = counted(async (item: number) => item);
    const { items, state: source } = numbers(100);
    const results = workAhead(items, run, 3);
    expect(state.begun).toBe(0); // nothing before somebody asks
    expect((await results.next()).value).toBe(0);
    await sleep(10);
    expect(state.begun).toBe(4); // one was taken, three wait
    expect(source.taken).toBe(5); // and one more waits to begin
    await results.return();
    expect(source).toEqual({ taken: 5, isClosed: true });
  });

  it('runs stages at the same time, with bounded memory between them', async () => {
    const together = { first: 0, second: 0, both: 0 };
    const stage = (name: 'first' | 'second') => async (item: number) => {
      together[name]++;
      if (together.first > 0 && together.second > 0) together.both++;
      await sleep(2);
      together[name]--;
      return item;
    };
    const { items, state: source } = numbers(12);
    const second = workAhead(workAhead(items, stage('first'), 2), stage('second'), 2);
    const seen: number[] = [];
    for await (const item of second) {
      seen.push(item);
      expect(source.taken - seen.length).toBeLessThanOrEqual(6);
    }
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(together.both).toBeGreaterThan(5);
  });

  it.each(['items', 'first stage', 'second stage'])(
    'hands out what came before an error of the %s, and stops all the others',
    async (where) => {
      const failAt = (name: string, item: number) => {
        if (name === where && item === 5) throw new Error(`no ${name}`);
        return item;
      };
      const { items, state: source } = numbers(1000);
      async function* failing() {
        for await (const item of items) yield failAt('items', item);
      }
      const first = counted(async (item: number) => {
        await sleep(1);
        return failAt('first stage', item);
      });
      const second = counted(async (item: number) => {
        await sleep(2);
        return failAt('second stage', item);
      });
      const seen: number[] = [];
      const stages = workAhead(workAhead(failing(), first.run, 3), second.run, 2);
      await expect(take(stages, seen)).rejects.toThrow(`no ${where}`);
      expect(seen).toEqual([0, 1, 2, 3, 4]);
      expect(source.isClosed).toBe(true);
      expect(source.taken).toBeLessThan(16);
      expect([first.state.inProgress, second.state.inProgress]).toEqual([0, 0]);
    },
  );

  it('throws the error of the earlier item, though a later one failed first', async () => {
    const work = async (item: number) => {
      await sleep(item === 0 ? 5 : 0);
      throw new Error(`item ${item}`);
    };
    await expect(take(workAhead([0, 1, 2], work, 3))).rejects.toThrow('item 0');
  });

  it('stops in the middle: waits for what is in progress and closes the items', async () => {
    const work = counted(async (item: number) => {
      await sleep(5);
      return item;
    });
    const { items, state: source } = numbers(1000);
    for await (const item of workAhead(workAhead(items, work.run, 4), (item) => item, 1)) if (item === 2) break;
    expect(source.isClosed).toBe(true);
    expect(work.state.inProgress).toBe(0);
    expect(work.state.begun).toBeLessThan(12);
    await expect(take(workAhead([1], work.run, 0))).rejects.toThrow('workAhead: most must be at least 1, got 0');
  });
});
