import { useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { gelu, silu } from './activations.js';

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
