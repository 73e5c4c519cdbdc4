// Whatever fails in the middle of a run, the error comes out as it is and nothing is left behind.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ToyTask, toyOptions, toyTask } from '../test/toy-task.js';
import { createRunLog, type RunLog } from './log/run-log.js';
import type { TrainOptions } from './task.js';
import { train } from './train.js';

beforeAll(() => useBackend('cpu'));
afterEach(() => vi.restoreAllMocks());

const newFolder = () => mkdtempSync(join(tmpdir(), 'tb-train-'));
const logOf = (out: string) => createRunLog({ out, title: 'toy', config: {}, terminal: { write: () => {} } });

/** A function that fails when it is called for the `count`-th time. */
function failingAt<Args extends unknown[], Result>(count: number, fn: (...args: Args) => Result) {
  let calls = 0;
  return (...args: Args): Result => {
    calls += 1;
    if (calls === count) throw new Error('out of order');
    return fn(...args);
  };
}

/** A task whose batches count how often they are closed. */
function countedTask(changes: Partial<ToyTask> = {}) {
  const task = { ...toyTask(), ...changes };
  const closed = { times: 0 };
  const openBatches = (step: number) => {
    const batches = task.openBatches(step);
    return { ...batches, close: async () => void closed.times++ };
  };
  return { task: { ...task, openBatches }, closed };
}

async function expectFailure(changes: Partial<ToyTask>, options: Partial<TrainOptions> = {}, log?: RunLog) {
  const out = options.out ?? newFolder();
  const before = tf.memory().numTensors;
  const { task, closed } = countedTask(changes);
  await expect(train(task, toyOptions(out, options), log ?? logOf(out))).rejects.toThrow('out of order');
  expect(tf.memory().numTensors).toBe(before);
  return { out, closed };
}

describe('train, when something fails', () => {
  const whole = toyTask();

  it.each<[string, Partial<ToyTask>, Partial<TrainOptions>]>([
    ['the loss', { loss: failingAt(3, whole.loss) }, {}],
    ['the loss of a micro-batch', { loss: failingAt(4, whole.loss) }, { parallelism: { devices: 1, microBatches: 2 } }],
    ['the loss, others unread', { loss: failingAt(6, whole.loss) }, { lossDelay: 4 }],
    ['making tensors', { toTensors: failingAt(2, whole.toTensors) }, {}],
    ['validation', { validate: () => Promise.reject(new Error('out of order')) }, { validateEvery: 3 }],
    ['drawing', { draw: () => Promise.reject(new Error('out of order')) }, { drawEvery: 3 }],
  ])('ends with the error of %s', async (_, changes, options) => {
    const { closed } = await expectFailure(changes, options);
    expect(closed.times).toBe(1);
  });

  it('ends with the error of a batch', async () => {
    const openBatches = (step: number) => {
      const batches = whole.openBatches(step);
      return { ...batches, next: failingAt(3, batches.next) };
    };
    expect((await expectFailure({ openBatches })).closed.times).toBe(1);
  });

  it.each(['begin', 'step'] as const)('ends with the error of the log’s %s', async (method) => {
    const out = newFolder();
    const log = logOf(out);
    vi.spyOn(log, method).mockImplementation(() => {
      throw new Error('out of order');
    });
    const { closed } = await expectFailure({}, { out, lossDelay: 2 }, log);
    expect(closed.times).toBe(method === 'begin' ? 0 : 1);
  });

  it('leaves nothing behind where it cannot even start', async () => {
    const out = newFolder();
    const { task } = countedTask({ init: () => Promise.reject(new Error('no weights')) });
    await expect(train(task, toyOptions(out), logOf(out))).rejects.toThrow('no weights');
    expect(readdirSync(out)).toEqual([]);
  });

  it('leaves no half of a checkpoint that cannot be written', async () => {
    const out = newFolder();
    const before = tf.memory().numTensors;
    let calls = 0;
    const loss: typeof whole.loss = (...inputs) => {
      calls += 1;
      if (calls === 2) {
        rmSync(join(out, 'checkpoints'), { recursive: true });
        writeFileSync(join(out, 'checkpoints'), 'a file where the folder was');
      }
      return whole.loss(...inputs);
    };
    const { task, closed } = countedTask({ loss });
    await expect(train(task, toyOptions(out), logOf(out))).rejects.toThrow(/checkpoint .* cannot be written/);
    expect(tf.memory().numTensors).toBe(before);
    expect(closed.times).toBe(1);
    expect(readdirSync(out).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('frees everything, whichever operation fails', async () => {
    const global = tf.engine(); // of TensorFlow.js, whatever the backend
    const runKernel = global.runKernel.bind(global);
    const options = { steps: 2, checkpointEvery: 10, parallelism: { devices: 1, microBatches: 2 } };
    let operations = 0;
    // But those of gradients: what TensorFlow.js itself saves for one stays when it fails.
    const failAt = (count: number) => {
      operations = 0;
      vi.spyOn(global, 'runKernel').mockImplementation(((...args: Parameters<typeof runKernel>) => {
        if (global.state.activeTape) return runKernel(...args);
        operations += 1;
        if (operations === count) throw new Error('out of order');
        return runKernel(...args);
      }) as typeof runKernel);
    };
    const out = newFolder();
    failAt(Number.POSITIVE_INFINITY);
    disposeTree((await train(toyTask(), toyOptions(out, options), logOf(out))).state);
    const all = operations;
    expect(all).toBeGreaterThan(50);
    for (let count = 1; count <= all; count += 3) {
      failAt(count);
      await expectFailure({}, options);
    }
  });
});
