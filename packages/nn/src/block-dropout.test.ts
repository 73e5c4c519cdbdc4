import { disposeTree, randomKey, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { dropoutOfBlocks } from './block-dropout.js';

beforeAll(async () => {
  await useBackend('wasm');
});

it('gives every place of every block a key of its own, and only where there is dropout', () => {
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
