import { disposeTree, randomKey, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { dropout, dropoutOfBlocks } from './dropout.js';

beforeAll(() => useBackend(testBackend));

describe('dropout', () => {
  it('zeroes the share of values that the rate says and scales the others', () => {
    const dropped = dropout(tf.ones([100_000]), 0.2, randomKey(1)).dataSync();
    const zeros = dropped.filter((value) => value === 0).length;
    expect(zeros / dropped.length).toBeCloseTo(0.2, 2);
    expect(new Set(dropped)).toEqual(new Set([0, 1.25]));
  });

  it('passes the gradient through the same mask', () => {
    const x = tf.ones([50]);
    const gradient = tf.grad((input) => dropout(input, 0.5, randomKey(2)))(x);
    expect(gradient.dataSync()).toEqual(dropout(x, 0.5, randomKey(2)).dataSync());
  });

  it('gives a new tensor with the values of x at rate 0', () => {
    const x = tf.tensor1d([1, 2]);
    const before = tf.memory().numTensors;
    const same = dropout(x, 0, randomKey(3));
    same.dispose();
    expect(tf.memory().numTensors).toBe(before + 1); // the key
    expect(Array.from(x.dataSync())).toEqual([1, 2]);
  });

  it.each([-0.1, 1, Number.NaN])('refuses a rate of %s', (rate) => {
    expect(() => dropout(tf.ones([2]), rate, randomKey(1))).toThrow(`dropout: rate must be in [0, 1), got ${rate}`);
  });
});

describe('dropoutOfBlocks', () => {
  it('gives every place of every block a different key, and only where there is dropout', () => {
    const before = tf.memory().numTensors;
    const key = randomKey(1);
    const drops = dropoutOfBlocks({ attention: 0.1, projection: 0.2, key }, 3);
    expect(drops.map(({ attention, mlp }) => [attention.attention, attention.projection, mlp.rate])).toEqual(
      Array(3).fill([0.1, 0.2, 0.2]),
    );
    const keys = drops.flatMap(({ attention, mlp }) => [...attention.keys, ...mlp.keys]);
    expect(new Set(keys.map((each) => each.dataSync().join())).size).toBe(12);
    expect(dropoutOfBlocks(undefined, 3)).toEqual([]);
    disposeTree([key, ...keys]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
