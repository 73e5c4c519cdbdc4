import { randomKey, uniform, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { applyLayerNorm, type LayerNorm, layerNormParameters, modulate } from './layer-norm.js';
import { initParameters } from './params.js';

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
    const layer = { ...initParameters<LayerNorm>(randomKey(0), layerNormParameters(3)), bias: tf.tensor1d([1, 2, 3]) };
    expect(Array.from(applyLayerNorm(layer, tf.fill([1, 3], 7)).dataSync())).toEqual([1, 2, 3]);
  });

  it('names the argument when the width is wrong', () => {
    expect(() =>
      applyLayerNorm(initParameters<LayerNorm>(randomKey(0), layerNormParameters(3)), tf.ones([2, 4])),
    ).toThrow('applyLayerNorm: x must have a last axis of 3, got [2, 4]');
  });
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
    const x = uniform(randomKey(1), [2, 3, 4]);
    const zero = tf.zeros([2, 1, 4]);
    expect(modulate(x, zero, zero).dataSync()).toEqual(x.dataSync());
  });
});
