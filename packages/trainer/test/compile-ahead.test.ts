// What a run compiles ahead of need, on an executor that computes nothing and whose compiler ends when the test lets it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, useBackend } from '@tb/runtime';
import { registerBackend } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeExecutor, type FakeExecutor } from '../../xla/test/fake-executor.js';
import type { LatentBatch } from '../src/data/latent-batches.js';
import { createRunLog } from '../src/log/run-log.js';
import type { TrainOptions } from '../src/task.js';
import { train } from '../src/train.js';
import { smallBatch, smallModelTask } from './small-model.js';
import { toyOptions } from './toy-task.js';

const images = 4;

/** Five capacities of masked positions: 8, 10, 12, 14 and 16. */
const task = (heldOut: LatentBatch[] = []) =>
  smallModelTask(undefined, {
    maskGranularity: 2,
    heldOut,
    openBatches: (firstStep) => {
      let step = firstStep;
      return {
        samplesPerEpoch: 100,
        batchSize: images,
        next: async () => smallBatch(step++, images),
        describe: () => 'a batch',
        close: async () => {},
      };
    },
  });

const turn = () => new Promise((resolve) => setTimeout(resolve, 10));

describe('a run on a backend that compiles', () => {
  let executor: FakeExecutor;
  let out: string;
  let lines: string;
  beforeEach(async () => {
    await useBackend('cpu');
    executor = createFakeExecutor();
    registerBackend(executor);
    await tf.setBackend('xla');
    out = mkdtempSync(join(tmpdir(), 'compile-ahead-'));
    lines = '';
  });
  afterEach(() => rmSync(out, { recursive: true }));

  const start = (changes: Partial<TrainOptions> = {}, heldOut?: LatentBatch[], signal?: AbortSignal) => {
    const terminal = { write: (text: string) => (lines += text) };
    const log = createRunLog({ out, title: 'small', config: {}, terminal });
    return train(task(heldOut), toyOptions(out, { steps: 2, ...changes }), log, signal);
  };
  const masked = (images: number) =>
    executor.pending.map(({ text }) => new RegExp(`tensor<${images}x(8|1[0246])xi32>`).exec(text)?.[1]);
  /** Lets the compiler finish everything, also what is still to come. */
  const finishAll = () => {
    const timer = setInterval(() => {
      for (const { finish } of [...executor.pending]) finish();
    }, 5);
    return () => clearInterval(timer);
  };

  it('compiles the steps of all shapes and the validation at once; the first step waits only for its own program', async () => {
    const run = start({ validateEvery: 2 }, [smallBatch(7, 3)]);
    while (executor.pending.length < 6) await turn();
    expect(new Set(masked(images).slice(0, 5))).toEqual(new Set(['8', '10', '12', '14', '16']));
    expect(executor.pending[5].text).toContain('tensor<3x4x4x8xf32>');
    const before = executor.executions();
    executor.pending[1].finish();
    await turn();
    expect(executor.executions()).toBe(before);
    executor.pending[0].finish();
    while (!lines.includes('step 1/2')) await turn();
    const end = finishAll();
    const { state, progress } = await run;
    end();
    disposeTree(state);
    expect(progress.step).toBe(2);
    expect(executor.modules.filter((text) => text.includes('tensor<4x4x4x8xf32>'))).toHaveLength(5);
  });

  it('prepares both programs of micro-batches', async () => {
    const run = start({ parallelism: { devices: 1, microBatches: 2 } });
    while (executor.pending.length < 7) await turn();
    expect(masked(images / 2).filter(Boolean)).toHaveLength(5);
    const { length } = executor.pending;
    const end = finishAll();
    disposeTree((await run).state);
    end();
    expect(length).toBe(7); // sums of zero, five capacities, the update
  });

  it('ends with the error of the program that a step needs, and with no other', async () => {
    const run = start();
    while (executor.pending.length < 5) await turn();
    executor.pending[4].finish(new Error('not needed yet'));
    executor.pending[0].finish(new Error('no such kernel'));
    await expect(run).rejects.toThrow('no such kernel');
    finishAll()();
  });

  it('stops while it waits for a program', async () => {
    const controller = new AbortController();
    const run = start({}, undefined, controller.signal);
    while (executor.pending.length < 5) await turn();
    controller.abort();
    const { state, stopped } = await run;
    disposeTree(state);
    expect(stopped).toBe(true);
    expect(executor.pending).toEqual([]);
  });
});
