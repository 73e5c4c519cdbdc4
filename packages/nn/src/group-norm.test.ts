import { randomKey, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { applyGroupNorm, type GroupNorm, groupNormParameters } from './group-norm.js';
import { normal } from './initializers.js';
import { initParameters } from './params.js';

beforeAll(() => useBackend(testBackend));

describe('applyGroupNorm', () => {
  it('gives PyTorch’s values and gradients', () =>
    expectLikePyTorch('groupNorm', (params: GroupNorm, x: tf.Tensor4D) => applyGroupNorm(params, x, { groups: 4 })));

  it('treats every image alone', () => {
    const layer = initParameters<GroupNorm>(randomKey(0), groupNormParameters(64));
    const images = normal(randomKey(2), [3, 4, 4, 64], 2) as tf.Tensor4D;
    const together = tf.split(applyGroupNorm(layer, images), 3);
    for (const [index, image] of tf.split<tf.Tensor4D>(images, 3).entries()) {
      expectClose(together[index].dataSync(), applyGroupNorm(layer, image).dataSync(), 1e-6);
    }
  });

  it('keeps float32’s precision on large images', () => {
    const x = tf.add(normal(randomKey(3), [1, 256, 256, 4], 1), 3) as tf.Tensor4D;
    const values = x.dataSync() as Float32Array;
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    const expected = values.map((value) => (value - mean) / Math.sqrt(variance + 1e-6));
    const normalized = applyGroupNorm(initParameters<GroupNorm>(randomKey(0), groupNormParameters(4)), x, {
      groups: 1,
    });
    expectClose(normalized.dataSync(), expected, 2e-6);
  });

  it('refuses channels that the groups do not divide, or that the layer does not have', () => {
    expect(() =>
      applyGroupNorm(initParameters<GroupNorm>(randomKey(0), groupNormParameters(48)), tf.ones([1, 2, 2, 48])),
    ).toThrow('applyGroupNorm: channels must be a multiple of groups, got 48 and 32');
    expect(() =>
      applyGroupNorm(initParameters<GroupNorm>(randomKey(0), groupNormParameters(32)), tf.ones([1, 2, 2, 64])),
    ).toThrow('x must be [*, *, *, 32]');
  });
});
