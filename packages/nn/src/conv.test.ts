import { normal, randomKey, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { applyConv2d, type Conv2d, conv2dParameters } from './conv.js';
import { applyLinear } from './linear.js';
import { initParameters } from './params.js';

beforeAll(() => useBackend(testBackend));

describe('applyConv2d', () => {
  it('gives PyTorch’s values and gradients', () =>
    expectLikePyTorch('conv', (params: Conv2d, x: tf.Tensor4D) => applyConv2d(params, x, { padding: 1 })));

  it('gives PyTorch’s values and gradients with a 1 × 1 kernel', () =>
    expectLikePyTorch<Conv2d, tf.Tensor4D>('convPointwise', applyConv2d));

  it('gives PyTorch’s values and gradients with a stride and padding at two sides', () =>
    expectLikePyTorch('convStrided', (params: Conv2d, x: tf.Tensor4D) =>
      applyConv2d(params, x, { stride: 2, padding: { top: 0, bottom: 0, left: 1, right: 1 } }),
    ));

  it('is a linear layer at every pixel when the kernel is 1 × 1', () => {
    const layer = initParameters<Conv2d>(randomKey(4), conv2dParameters(5, 3, 1));
    const x = normal(randomKey(5), [2, 3, 4, 5]) as tf.Tensor4D;
    const linear = applyLinear({ weight: tf.reshape(layer.weight, [3, 5]), bias: layer.bias }, x);
    expectClose(applyConv2d(layer, x).dataSync(), linear.dataSync(), 1e-6);
  });

  it('refuses another number of channels', () => {
    expect(() =>
      applyConv2d(initParameters<Conv2d>(randomKey(1), conv2dParameters(3, 8, 3)), tf.ones([1, 4, 4, 4])),
    ).toThrow('applyConv2d: x must be [*, *, *, 3], got [1, 4, 4, 4]');
  });
});
