import { randomKey, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { initParameters } from './params.js';
import { applyDownsample, applyUpsample, type Resample, resampleParameters } from './resample.js';

beforeAll(() => useBackend(testBackend));

describe('applyDownsample', () => {
  it.each(['downsample', 'downsampleOdd'])('gives PyTorch’s values and gradients: %s', (name) =>
    expectLikePyTorch<Resample, tf.Tensor4D>(name, applyDownsample),
  );

  it('pads at the bottom and right only: the top left pixel meets the kernel’s first weight', () => {
    const weight = tf.buffer([1, 1, 3, 3]);
    weight.set(1, 0, 0, 0, 0);
    const layer = { conv: { weight: weight.toTensor(), bias: tf.zeros([1]) } };
    const x = tf.reshape(tf.range(1, 17), [1, 4, 4, 1]) as tf.Tensor4D;
    expect(Array.from(applyDownsample(layer, x).dataSync())).toEqual([1, 3, 9, 11]);
  });

  it('refuses another number of channels', () => {
    expect(() =>
      applyDownsample(initParameters<Resample>(randomKey(0), resampleParameters(2)), tf.ones([1, 4, 4, 3])),
    ).toThrow('got [1, 4, 4, 3]');
  });
});

describe('applyUpsample', () => {
  it('gives PyTorch’s values and gradients', () => expectLikePyTorch<Resample, tf.Tensor4D>('upsample', applyUpsample));

  it('doubles both sides', () => {
    expect(
      applyUpsample(initParameters<Resample>(randomKey(0), resampleParameters(2)), tf.ones([1, 3, 5, 2])).shape,
    ).toEqual([1, 6, 10, 2]);
  });
});
