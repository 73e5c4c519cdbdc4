import { describe, expect, test } from 'vitest';
import { fromFirstProcess, meetProcesses, oneProcess, type ProcessGroup, waitForKey } from './processes.js';

/** The groups of some processes that share a store in this one. */
function groupsOf(count: number): ProcessGroup[] {
  const values = new Map<string, Uint8Array>();
  const store = {
    put: (key: string, value: Uint8Array) => void values.set(key, value),
    get: (key: string) => values.get(key)!,
    tryGet: (key: string) => values.get(key),
  };
  return Array.from({ length: count }, (_, index) => ({ index, count, store }));
}

describe('fromFirstProcess', () => {
  test('gives every process the value of the first', async () => {
    const groups = groupsOf(3);
    const made: number[] = [];
    const make = (index: number) => () => {
      made.push(index);
      return { from: index };
    };
    const received = await Promise.all(
      groups.map((group) => fromFirstProcess(group, 'options', make(group.index), { timeoutMs: 1000 })),
    );
    expect(received).toEqual([{ from: 0 }, { from: 0 }, { from: 0 }]);
    expect(made).toEqual([0]);
    expect(await fromFirstProcess(oneProcess, 'options', () => 7, { timeoutMs: 0 })).toBe(7);
  });

  test("throws the first process's error in all of them", async () => {
    const [first, second] = groupsOf(2);
    const fail = () => {
      throw new Error('there is no checkpoint');
    };
    await expect(fromFirstProcess(first, 'key', fail, { timeoutMs: 1000 })).rejects.toThrow('there is no checkpoint');
    const other = fromFirstProcess(second, 'key', fail, { timeoutMs: 1000 });
    await expect(other).rejects.toThrow('process 0: there is no checkpoint');
  });
});

describe('meetProcesses', () => {
  test('waits for all, and names what has not come', async () => {
    const [first, second, third] = groupsOf(3);
    const met: number[] = [];
    const meet = (group: ProcessGroup) =>
      meetProcesses(group, 'end', { timeoutMs: 5000 }).then(() => met.push(group.index));
    const early = [meet(first), meet(second)];
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(met).toEqual([]);
    await Promise.all([...early, meet(third)]);
    expect(met.sort()).toEqual([0, 1, 2]);
    await expect(meetProcesses(first, 'never', { timeoutMs: 30 })).rejects.toThrow('no process put never/1');
    await meetProcesses(oneProcess, 'end', { timeoutMs: 0 });
  });
});

test('waitForKey ends when its signal is aborted', async () => {
  const [{ store }] = groupsOf(1);
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('stopped')), 30);
  await expect(waitForKey(store!, 'key', { timeoutMs: 5000, signal: controller.signal })).rejects.toThrow('stopped');
});
