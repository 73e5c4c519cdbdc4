import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../backends/use-backend.js';
import { definedOperations, defineOperation, operationChoices, setKernelCondition } from './operation.js';

beforeAll(() => useBackend('cpu'));
afterEach(() => {
  delete process.env.TB_PLAIN;
});

const doubled = defineOperation('TestDoubled', ({ x }: { x: tf.Tensor }, { times }: { times: number }) =>
  tf.mul(tf.add(x, x), times),
);

/** A kernel whose result can be told from the definition's. */
function registerKernel(): void {
  tf.registerKernel({
    kernelName: 'TestDoubled',
    backendName: 'cpu',
    kernelFunc: ({ inputs, backend }) => {
      const { shape } = inputs.x as tf.TensorInfo;
      const dataId = (backend as tf.KernelBackend).write(new Float32Array(shape[0]!).fill(-1), shape, 'float32');
      return { dataId, shape, dtype: 'float32' };
    },
  });
}

const values = () => [...tf.tidy(() => doubled({ x: tf.tensor1d([1, 2]) }, { times: 10 })).dataSync()];

describe('an operation', () => {
  it('runs its definition where the backend has no kernel, and keeps no other tensor', () => {
    expect(definedOperations()).toContain('TestDoubled');
    expect(values()).toEqual([20, 40]);
    expect(operationChoices().TestDoubled).toBe('the backend cpu has no kernel for it');
    const x = tf.tensor1d([1]);
    const before = tf.memory().numTensors;
    doubled({ x }, { times: 1 });
    expect(tf.memory().numTensors).toBe(before + 1);
  });

  it('runs the kernel where there is one, unless it declines, is switched off or gradients are recorded', () => {
    registerKernel();
    expect(values()).toEqual([-1, -1]);
    expect(operationChoices().TestDoubled).toBe('kernel');
    setKernelCondition('cpu', 'TestDoubled', ({ x }) => (x!.size > 1 ? 'too large' : undefined));
    expect(values()).toEqual([20, 40]);
    expect(operationChoices().TestDoubled).toBe('too large');
    setKernelCondition('cpu', 'TestDoubled', () => undefined);
    for (const names of ['all', 'Other,TestDoubled']) {
      process.env.TB_PLAIN = names;
      expect(values()).toEqual([20, 40]);
    }
    process.env.TB_PLAIN = 'Other';
    expect(values()).toEqual([-1, -1]);
    const slope = tf.grad((x) => tf.sum(doubled({ x }, { times: 10 })))(tf.tensor1d([3]));
    expect([...slope.dataSync()]).toEqual([20]);
    expect([...doubled.plain({ x: tf.tensor1d([4]) }, { times: 1 }).dataSync()]).toEqual([8]);
  });

  it('has one definition', () => {
    expect(() => defineOperation('TestDoubled', ({ x }) => tf.clone(x!))).toThrow('TestDoubled is defined already');
  });
});
