import { useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { gelu, silu } from './activations.js';
import { modulate } from './modulation.js';

beforeAll(() => useBackend(testBackend));

describe('gelu', () => {
  it('gives PyTorch’s values and gradients', () => expectLikePyTorch('gelu', (_, x: tf.Tensor1D) => gelu(x)));

  it('is exact, not the tanh approximation, which is off by 4e-4 near 2.4', () => {
    expect(gelu(tf.scalar(2.4)).dataSync()[0]).toBeCloseTo(2.4 * 0.99180246, 6); // Φ(2.4), tabulated
  });
});

describe('silu', () => {
  it('gives PyTorch’s values and gradients', () => expectLikePyTorch('silu', (_, x: tf.Tensor1D) => silu(x)));
});

describe('modulate', () => {
  it('scales by one more than the scale, then shifts', () => {
    const [x, shift, scale] = [tf.tensor1d([1, 2]), tf.tensor1d([10, 20]), tf.tensor1d([0, 0.5])];
    const before = tf.memory().numTensors;
    const modulated = modulate(x, shift, scale);
    expect(tf.memory().numTensors).toBe(before + 1);
    expect(Array.from(modulated.dataSync())).toEqual([11, 23]);
  });

  it('changes nothing with shift and scale of zero', () => {
    const x = tf.randomNormal<tf.Rank.R3>([2, 3, 4]);
    const zero = tf.zeros([2, 1, 4]);
    expect(modulate(x, zero, zero).dataSync()).toEqual(x.dataSync());
  });
});
