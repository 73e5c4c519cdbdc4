import { randomKey, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import type * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { fanInUniform, normal, xavierUniform } from './initializers.js';

beforeAll(() => useBackend(testBackend));

function statistics(tensor: tf.Tensor) {
  const values = Array.from(tensor.dataSync());
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return { mean, deviation, largest: values.reduce((max, value) => Math.max(max, Math.abs(value)), 0) };
}

describe('initializers', () => {
  it('xavierUniform counts the kernel in both fans', () => {
    const bound = Math.sqrt(6 / (9 * (20 + 30)));
    const { mean, deviation, largest } = statistics(xavierUniform(randomKey(1), [30, 20, 3, 3]));
    expect(largest).toBeLessThanOrEqual(bound);
    expect(largest).toBeGreaterThan(0.99 * bound);
    expect(Math.abs(mean)).toBeLessThan(0.05 * bound);
    expect(deviation / (bound / Math.sqrt(3))).toBeCloseTo(1, 1);
  });

  it('fanInUniform is bounded by 1/√fanIn', () => {
    const { largest } = statistics(fanInUniform(randomKey(1), [30, 20, 3, 3]));
    expect(largest * Math.sqrt(180)).toBeCloseTo(1, 2);
  });

  it('normal has the given deviation, 0.02 by default', () => {
    expect(statistics(normal(randomKey(1), [100, 200])).deviation).toBeCloseTo(0.02, 3);
    expect(statistics(normal(randomKey(1), [100, 200], 3)).deviation).toBeCloseTo(3, 1);
  });

  it('refuses a shape without fans', () => {
    expect(() => xavierUniform(randomKey(1), [4])).toThrow('shape must be [outputs, inputs, ...kernel], got [4]');
  });
});
