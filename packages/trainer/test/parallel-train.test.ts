/** Whole runs on several devices: data, checkpoints and resume. */
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, flattenTree, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import type { Executor } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasTestDevice, useTestDevice } from '../../xla/test/device.js';
import { readRecords } from '../src/log/json-lines.js';
import { createRunLog } from '../src/log/run-log.js';
import type { TrainOptions } from '../src/task.js';
import { train } from '../src/train.js';
import type { Parallelism } from '../src/train-step.js';
import { toyOptions, toyTask } from './toy-task.js';

const newFolder = () => mkdtempSync(join(tmpdir(), 'tb-parallel-'));
const oneDevice: Parallelism = { devices: 1, microBatches: 1 };

/** Losses by step, and the weights at the end. */
async function run(out: string, changes: Partial<TrainOptions>, keepProbability = 1) {
  const log = createRunLog({ out, title: 'toy', config: {}, terminal: { write: () => {} } });
  const { state } = await train(toyTask({ keepProbability }), toyOptions(out, changes), log);
  const flat = flattenTree({ params: state.params, ema: state.ema });
  const weights: number[] = [];
  for (const name of Object.keys(flat).sort()) weights.push(...(await flat[name].data()));
  disposeTree(state);
  const steps = readRecords(join(out, 'log.jsonl')).filter(({ event }) => event === 'step');
  return {
    losses: steps.map(({ loss }) => Number(loss)),
    absolute: steps.map((step) => Number(step.absolute)),
    weights,
  };
}

describe('runs in micro-batches', () => {
  beforeAll(() => useBackend(testBackend));

  it('a run in micro-batches resumes where it stopped, bit for bit', async () => {
    const parallelism = { devices: 1, microBatches: 2 };
    const whole = await run(newFolder(), { steps: 12, parallelism }, 0.9);
    const out = newFolder();
    await run(out, { steps: 6, parallelism }, 0.9);
    expect(await run(out, { steps: 12, parallelism, resume: true }, 0.9)).toEqual(whole);
  });
});

describe.skipIf(!hasTestDevice())('runs on several devices', () => {
  let executor: Executor;
  beforeAll(async () => {
    executor = await useTestDevice();
  });
  afterAll(() => executor.dispose());

  it('a run on two devices gives the losses of one, and may change the number when it resumes', {
    timeout: 300_000,
  }, async ({ skip }) => {
    if (executor.deviceCount < 2) skip('there is one device only');
    const expected = await run(newFolder(), { steps: 12, parallelism: oneDevice });
    const [tensors, bytes] = [tf.memory().numTensors, executor.memory().bytesInUse];
    const out = newFolder();
    await run(out, { steps: 6, parallelism: { devices: 2, microBatches: 1 }, lossDelay: 2 });
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['step-00000004', 'step-00000006']);
    const resumed = await run(out, { steps: 12, parallelism: { devices: 2, microBatches: 2 }, resume: true });
    expect(resumed.losses).toHaveLength(12);
    expectClose(resumed.losses, expected.losses, 1e-5, 'losses');
    expectClose(resumed.absolute, expected.absolute, 1e-5, 'metrics');
    expectClose(resumed.weights, expected.weights, 1e-5, 'weights');
    expect([tf.memory().numTensors, executor.memory().bytesInUse]).toEqual([tensors, bytes]);
  });

  it('each device draws different dropout masks', async ({ skip }) => {
    if (executor.deviceCount < 2) skip('there is one device only');
    const [first, second] = [
      await run(newFolder(), { steps: 1, parallelism: oneDevice }, 0.5),
      await run(newFolder(), { steps: 1, parallelism: { devices: 2, microBatches: 1 } }, 0.5),
    ];
    expect(second.losses).not.toEqual(first.losses);
  });
});
