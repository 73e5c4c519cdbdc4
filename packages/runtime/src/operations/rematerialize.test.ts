import { testBackends } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useBackend } from '../backends/use-backend.js';
import { dropoutMask, type Key, normal, randomKey } from '../random/random.js';
import { rematerialize } from './rematerialize.js';

type Params = { weight: tf.Tensor; unused: tf.Tensor };

const block = (params: Params, x: tf.Tensor, options: { key: Key; rate: number }) => {
  const hidden = tf.sin(tf.matMul(x as tf.Tensor2D, params.weight as tf.Tensor2D));
  return tf.add(x, tf.mul(hidden, dropoutMask(options.key, hidden.shape, 1 - options.rate)));
};

describe.each(testBackends)('rematerialize on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test('changes neither value nor gradients', () => {
    const key = randomKey(3);
    const inputs = [normal(randomKey(4), [5, 5]), normal(randomKey(5), [3, 5])];
    const before = tf.memory().numTensors;
    const [plain, rematerialized] = [block, rematerialize(block)].map((apply) => {
      const network = (weight: tf.Tensor, x: tf.Tensor) => {
        const params = { weight, unused: tf.scalar(1) };
        const once = apply(params, tf.cos(x), { key, rate: 0.2 });
        return tf.sum(tf.square(apply(params, once, { key, rate: 0.2 }))) as tf.Scalar;
      };
      const { value, grads } = tf.valueAndGrads(network)(inputs);
      return [value, ...grads];
    });
    rematerialized.forEach((tensor, index) => {
      expect(Array.from(tensor.dataSync())).toEqual(Array.from(plain[index].dataSync()));
    });
    tf.dispose([plain, rematerialized]);
    // The scalars made inside the two networks outlive tf.valueAndGrads only if it leaks.
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([key, inputs]);
  });

  test('keeps fewer bytes between forward and backward', () => {
    const deep = (x: tf.Tensor) => tf.tidy(() => [1, 2, 3, 4, 5, 6, 7, 8].reduce((y) => tf.sin(y), x));
    const x = tf.zeros([64, 64]);
    const bytesHeld = [deep, rematerialize(deep)].map((apply) => {
      let held = 0;
      const probe = tf.customGrad((y) => ({
        value: tf.clone(y as tf.Tensor),
        gradFunc: (dy: tf.Tensor) => {
          held = tf.memory().numBytes;
          return dy;
        },
      }));
      tf.grad((input) => tf.sum(probe(apply(input))))(x).dispose();
      return held;
    });
    expect(bytesHeld[0] - bytesHeld[1]).toBeGreaterThanOrEqual(6 * 64 * 64 * 4);
    x.dispose();
  });
});
