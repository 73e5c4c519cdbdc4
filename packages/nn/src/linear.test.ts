import { disposeTree, normal, randomKey, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch } from '../test/pytorch.js';
import { applyLinear, applyLinears, type Linear, linearParameters, zeroLinearParameters } from './linear.js';
import { initParameters } from './params.js';

beforeAll(() => useBackend(testBackend));

describe('applyLinear', () => {
  it('gives PyTorch’s values and gradients', () => expectLikePyTorch<Linear, tf.Tensor3D>('linear', applyLinear));

  it('takes any number of leading axes', () => {
    const layer = initParameters<Linear>(randomKey(1), linearParameters(3, 2));
    const x = normal(randomKey(2), [24, 3]);
    const flat = applyLinear(layer, x);
    for (const leading of [[24], [4, 6], [2, 3, 4], [2, 1, 3, 4]]) {
      const y = applyLinear(layer, tf.reshape(x, [...leading, 3]));
      expect(y.shape).toEqual([...leading, 2]);
      expect(y.dataSync()).toEqual(flat.dataSync());
    }
    expect(applyLinear(layer, tf.ones([3])).shape).toEqual([2]);
  });

  it('names the argument when the width is wrong', () => {
    const layer = initParameters<Linear>(randomKey(0), zeroLinearParameters(3, 2));
    expect(() => applyLinear(layer, tf.ones([5, 4]))).toThrow('applyLinear: x must have a last axis of 3, got [5, 4]');
  });
});

describe('applyLinears', () => {
  it('is each layer on its own place, with its gradients', () => {
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const layers = [1, 2, 3].map((seed) => initParameters<Linear>(randomKey(seed), linearParameters(4, 2)));
      const x = normal(randomKey(4), [5, 3, 4]) as tf.Tensor3D;
      const apart = (input: tf.Tensor, ...weights: tf.Tensor[]) =>
        tf.stack(
          tf.unstack(input, 1).map((each, t) => applyLinear({ ...layers[t], weight: weights[t] }, each)),
          1,
        );
      const together = (input: tf.Tensor, ...weights: tf.Tensor[]) =>
        applyLinears(
          layers.map((layer, t) => ({ ...layer, weight: weights[t] })),
          input as tf.Tensor3D,
        );
      const inputs = [x, ...layers.map(({ weight }) => weight)];
      const [expected, actual] = [apart, together].map((apply) => [
        apply(x, ...inputs.slice(1)),
        ...tf.grads((...each) => tf.sum(tf.square(apply(each[0], ...each.slice(1)))))(inputs),
      ]);
      for (const [i, tensor] of actual.entries()) expectClose(tensor.dataSync(), expected[i].dataSync(), 1e-5);
      expect(() => applyLinears(layers, tf.ones([5, 2, 4]))).toThrow(
        'applyLinears: x must be [*, 3, 4], got [5, 2, 4]',
      );
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('linearParameters', () => {
  it('is xavier-uniform with zero bias and leaves only its parameters', () => {
    const key = randomKey(7);
    const before = tf.memory().numTensors;
    const layer = initParameters<Linear>(key, linearParameters(300, 200));
    expect(tf.memory().numTensors).toBe(before + 2);
    const weight = Array.from(layer.weight.dataSync());
    const bound = Math.sqrt(6 / 500);
    expect(Math.max(...weight)).toBeLessThanOrEqual(bound);
    expect(Math.min(...weight)).toBeGreaterThanOrEqual(-bound);
    const variance = weight.reduce((sum, value) => sum + value * value, 0) / weight.length;
    expect(variance / (bound ** 2 / 3)).toBeCloseTo(1, 1);
    expect(layer.bias.dataSync().every((value) => value === 0)).toBe(true);
    disposeTree(layer);
  });

  it('starts with zeros where it is declared so', () => {
    const { weight, bias } = initParameters<Linear>(randomKey(0), zeroLinearParameters(3, 2));
    expect([weight, bias].map(({ shape }) => shape)).toEqual([[2, 3], [2]]);
    expect([...weight.dataSync(), ...bias.dataSync()].every((value) => value === 0)).toBe(true);
  });
});
