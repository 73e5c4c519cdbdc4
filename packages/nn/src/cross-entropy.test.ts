import { useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { pytorchCase, tensorOf } from '../test/pytorch.js';
import { crossEntropy } from './cross-entropy.js';

beforeAll(() => useBackend(testBackend));

describe('crossEntropy', () => {
  it('gives PyTorch’s values and gradients', () => {
    const expected =
      pytorchCase<Record<'logits' | 'targets' | 'output' | 'upstream' | 'gradient', Parameters<typeof tensorOf>[0]>>(
        'crossEntropy',
      );
    const logits = tensorOf(expected.logits);
    const targets = tensorOf(expected.targets, 'int32');
    const before = tf.memory().numTensors;
    const losses = crossEntropy(logits, targets);
    expect(tf.memory().numTensors).toBe(before + 1);
    expect(losses.shape).toEqual([2, 3]);
    expectClose(losses.dataSync(), expected.output.data, 1e-6);
    const gradient = tf.grad((x) => crossEntropy(x, targets))(logits, tensorOf(expected.upstream));
    expectClose(gradient.dataSync(), expected.gradient.data, 1e-6);
  });

  it('is ln B for equal logits, and exact where exp would overflow', () => {
    expect(crossEntropy(tf.fill([1, 64], 3), tf.tensor1d([5], 'int32')).dataSync()[0]).toBeCloseTo(Math.log(64), 6);
    expect(crossEntropy(tf.tensor2d([[1000, 0]]), tf.tensor1d([1], 'int32')).dataSync()[0]).toBe(1000);
  });

  it('refuses targets of another shape or type', () => {
    expect(() => crossEntropy(tf.ones([2, 3, 5]), tf.zeros([2], 'int32'))).toThrow('targets must be [2, 3], got [2]');
    expect(() => crossEntropy(tf.ones([2, 5]), tf.zeros([2]))).toThrow('targets must be int32, got float32');
  });
});
