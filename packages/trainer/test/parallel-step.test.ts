/** Training on several devices and in micro-batches: the same as on one device at once. */
import { useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import { type Executor, registerBackend } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasTestDevice, useTestDevice } from '../../xla/test/device.js';
import { createFakeExecutor, type FakeExecutor } from '../../xla/test/fake-executor.js';
import { type ParallelRun, parallelRun } from './parallel-run.js';

/** @param digits - after the point, of a relative or absolute error */
function expectSameRun(actual: ParallelRun, expected: ParallelRun, digits = 5): void {
  for (const [step, values] of expected.metrics.entries()) {
    expectClose(actual.metrics[step], values, 10 ** -digits, `loss and norm of step ${step}`);
  }
  for (const weights of actual.weights) {
    expect(Object.keys(weights)).toEqual(Object.keys(expected.weights[0]));
    for (const [name, values] of Object.entries(expected.weights[0])) {
      for (const [i, value] of values.entries()) expect(weights[name][i], name).toBeCloseTo(value, digits);
    }
  }
}

describe('micro-batches', () => {
  beforeAll(() => useBackend(testBackend));

  it('micro-batches train as the complete batch does, and leave no tensors behind', async () => {
    const whole = await parallelRun({ devices: 1, microBatches: 1 });
    const before = tf.memory().numTensors;
    for (const microBatches of [2, 4]) expectSameRun(await parallelRun({ devices: 1, microBatches }), whole);
    expect(tf.memory().numTensors).toBe(before);
    expect(whole.metrics[2][0]).toBeLessThan(whole.metrics[0][0]);
  });

  it('micro-batches draw different dropout masks', async () => {
    const [whole, cut] = [
      await parallelRun({ devices: 1, microBatches: 1 }, { steps: 1, dropout: 0.3 }),
      await parallelRun({ devices: 1, microBatches: 2 }, { steps: 1, dropout: 0.3 }),
    ];
    expect(Math.abs(cut.metrics[0][1] / whole.metrics[0][1] - 1)).toBeGreaterThan(1e-3);
  });

  it('refuses unequal micro-batches, and devices that do not exist', async () => {
    await expect(parallelRun({ devices: 1, microBatches: 3 })).rejects.toThrow(
      /splitBatch: moments \[8,4,4,8\] must have a multiple of 3 rows/,
    );
    await expect(parallelRun({ devices: 2, microBatches: 1 })).rejects.toThrow('number of devices');
  });
});

describe('several devices, kept by a fake executor', () => {
  let executor: FakeExecutor;
  beforeAll(async () => {
    await useBackend(testBackend); // its gradients serve every backend
    executor = createFakeExecutor();
    registerBackend(executor);
    await tf.setBackend('xla');
  });
  const programsOf = async (...run: Parameters<typeof parallelRun>) => {
    const first = executor.modules.length;
    const { weights } = await parallelRun(...run);
    const parameters = Object.keys(weights[0]).length / 2;
    const texts = executor.modules.slice(first).filter((text) => text.includes('mhlo.num_replicas = 2'));
    return { texts, parameters };
  };
  const count = (text: string, what: string) => text.split(what).length - 1;

  it('a step is one program, with all of the state donated', async () => {
    const { texts, parameters } = await programsOf({ devices: 2, microBatches: 1 }, { steps: 2 });
    for (const text of texts) {
      expect(count(text, 'aliasing_output')).toBe(4 * parameters + 1); // weights, average, two moments; the step's number
      expect(count(text, 'stablehlo.all_reduce')).toBe(parameters + 1); // gradients, loss
    }
    expect(texts.length).toBeLessThanOrEqual(2); // one for each number of masked positions
  });

  it('gradients add up in place and in float32, and are exchanged once a step', async () => {
    const { texts, parameters } = await programsOf({ devices: 2, microBatches: 4 }, { steps: 1, precision: 'bf16' });
    expect(texts).toHaveLength(3); // for any number of micro-batches
    const [start, accumulate, apply] = texts;
    expect(count(start, 'stablehlo.constant')).toBeGreaterThan(0);
    expect(count(accumulate, 'aliasing_output')).toBe(parameters);
    expect(count(accumulate, 'stablehlo.all_reduce')).toBe(0);
    expect(accumulate).toContain('bf16');
    expect(/-> \(([^)]*)\) \{\n/.exec(accumulate)![1]).not.toContain('bf16');
    expect(count(apply, 'stablehlo.all_reduce')).toBe(parameters + 1);
    expect(count(apply, 'aliasing_output')).toBeGreaterThanOrEqual(4 * parameters + 1);
  });

  it('steps free all that they make, and never read one device to feed another', async () => {
    await programsOf({ devices: 2, microBatches: 2 }, { steps: 1 });
    const [buffers, tensors] = [executor.liveBuffers(), tf.memory().numTensors];
    const downloadsOf = async (steps: number) => {
      const before = executor.downloads();
      await parallelRun({ devices: 2, microBatches: 2 }, { steps });
      return executor.downloads() - before;
    };
    // Each step reads its loss and norm; the rest is read once, to copy the state at first and to compare it at the end.
    expect((await downloadsOf(5)) - (await downloadsOf(2))).toBe(3 * 2);
    expect([executor.liveBuffers(), tf.memory().numTensors]).toEqual([buffers, tensors]);
  });
});

describe.skipIf(!hasTestDevice())('several devices', () => {
  let executor: Executor;
  let expected: ParallelRun;
  beforeAll(async () => {
    await useBackend(testBackend);
    expected = await parallelRun({ devices: 1, microBatches: 1 });
    executor = await useTestDevice();
  });
  afterAll(() => executor.dispose());

  it('two devices train as one does, in micro-batches too, and stay equal', { timeout: 300_000 }, async ({ skip }) => {
    if (executor.deviceCount < 2) skip('there is one device only');
    const two = await parallelRun({ devices: 2, microBatches: 2 });
    expectSameRun(two, expected, executor.platform === 'cpu' ? 5 : 4); // the functions of a GPU are its own
    expect(two.weights[1]).toEqual(two.weights[0]);
  });
});
