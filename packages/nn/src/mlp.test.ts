import { randomKey, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { applyMlp, type Mlp, mlpParameters } from './mlp.js';
import { initParameters, shapesOf } from './params.js';

beforeAll(() => useBackend(testBackend));

describe('applyMlp', () => {
  it('gives PyTorch’s values and gradients', () => expectLikePyTorch<Mlp, tf.Tensor3D>('mlp', applyMlp));

  it('drops by the key, and not at all at rate 0', () => {
    const layer = initParameters<Mlp>(randomKey(1), mlpParameters(8, 32));
    const x = tf.ones([4, 8]);
    const run = (rate: number, seed: number) =>
      applyMlp(layer, x, { dropout: { rate, keys: [randomKey(seed), randomKey(seed + 100)] } }).dataSync();
    expect(run(0.3, 1)).toEqual(run(0.3, 1));
    expect(run(0.3, 1)).not.toEqual(run(0.3, 2));
    expect(run(0, 1)).toEqual(applyMlp(layer, x).dataSync());
  });

  it('is declared with PyTorch’s shapes', () => {
    expect(shapesOf<Mlp>(mlpParameters(4, 6))).toEqual({
      fc1: { weight: [6, 4], bias: [6] },
      fc2: { weight: [4, 6], bias: [4] },
    });
  });

  it('refuses another width', () => {
    expect(() => applyMlp(initParameters<Mlp>(randomKey(1), mlpParameters(4, 6)), tf.ones([2, 5]))).toThrow(
      'last axis of 4',
    );
  });
});
