import { disposeTree, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { splitBatch } from './train-step.js';

beforeAll(() => useBackend(testBackend));

it('splitBatch gives every tensor’s rows in order, of the same types, and leaves the batch as it was', () => {
  const values = Float32Array.from({ length: 24 }, (_, i) => i);
  const batch = { images: tf.tensor3d(values, [4, 3, 2]), more: { labels: tf.tensor1d([5, 6, 7, 8], 'int32') } };
  const parts = splitBatch(batch, 2);
  expect(parts.map(({ images }) => images.shape)).toEqual([
    [2, 3, 2],
    [2, 3, 2],
  ]);
  expect(parts.flatMap(({ images }) => [...images.dataSync()])).toEqual([...values]);
  expect(parts.map(({ more }) => [more.labels.dtype, ...more.labels.dataSync()])).toEqual([
    ['int32', 5, 6],
    ['int32', 7, 8],
  ]);
  const tensors = tf.memory().numTensors;
  disposeTree(parts);
  expect(tf.memory().numTensors).toBe(tensors - 4);
  disposeTree(batch);
});

it.each([
  [[], 'batch.x []'],
  [[3, 2], 'batch.x [3,2]'],
])('splitBatch refuses what it cannot cut equally: [%s]', (shape, name) => {
  const batch = { batch: { x: tf.zeros(shape) } };
  expect(() => splitBatch(batch, 2)).toThrow(`splitBatch: ${name} must have a multiple of 2 rows`);
});
