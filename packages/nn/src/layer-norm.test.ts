import { randomKey, uniform, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { applyLayerNorm, initLayerNorm, type LayerNorm } from './layer-norm.js';

beforeAll(() => useBackend(testBackend));

describe('applyLayerNorm', () => {
  it('gives PyTorch’s values and gradients', () =>
    expectLikePyTorch<LayerNorm, tf.Tensor3D>('layerNorm', applyLayerNorm));

  it('gives PyTorch’s values and gradients without scale and offset', () =>
    expectLikePyTorch('layerNormWithoutAffine', (_, x: tf.Tensor2D) => applyLayerNorm(null, x)));

  it('does not see a shift or a positive factor of its input', () => {
    const x = tf.mul(uniform(randomKey(1), [4, 32]), 4);
    const plain = applyLayerNorm(null, x).dataSync();
    expectClose(applyLayerNorm(null, tf.add(tf.mul(x, 3), 5)).dataSync(), plain, 1e-5);
  });

  it('gives the bias for a constant input', () => {
    const layer = { ...initLayerNorm(3), bias: tf.tensor1d([1, 2, 3]) };
    expect(Array.from(applyLayerNorm(layer, tf.fill([1, 3], 7)).dataSync())).toEqual([1, 2, 3]);
  });

  it('names the argument when the width is wrong', () => {
    expect(() => applyLayerNorm(initLayerNorm(3), tf.ones([2, 4]))).toThrow(
      'applyLayerNorm: x must have a last axis of 3, got [2, 4]',
    );
  });
});
