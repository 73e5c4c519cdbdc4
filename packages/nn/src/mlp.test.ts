import { randomKey, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { applyMlp, initMlp, type Mlp, mlpShapes } from './mlp.js';

beforeAll(() => useBackend(testBackend));

describe('applyMlp', () => {
  it('gives PyTorch’s values and gradients', () => expectLikePyTorch<Mlp, tf.Tensor3D>('mlp', applyMlp));

  it('drops by the key, and not at all at rate 0', () => {
    const layer = initMlp(randomKey(1), 8, 32);
    const x = tf.ones([4, 8]);
    const run = (rate: number, seed: number) =>
      applyMlp(layer, x, { dropout: { rate, keys: [randomKey(seed), randomKey(seed + 100)] } }).dataSync();
    expect(run(0.3, 1)).toEqual(run(0.3, 1));
    expect(run(0.3, 1)).not.toEqual(run(0.3, 2));
    expect(run(0, 1)).toEqual(applyMlp(layer, x).dataSync());
  });

  it('has the shapes that mlpShapes says', () => {
    const { fc1, fc2 } = initMlp(randomKey(1), 4, 6);
    const made = {
      fc1: { weight: fc1.weight.shape, bias: fc1.bias.shape },
      fc2: { weight: fc2.weight.shape, bias: fc2.bias.shape },
    };
    expect(made).toEqual(mlpShapes(4, 6));
  });

  it('refuses another width', () => {
    expect(() => applyMlp(initMlp(randomKey(1), 4, 6), tf.ones([2, 5]))).toThrow('last axis of 4');
  });
});
