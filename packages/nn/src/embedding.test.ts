import { randomKey, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { pytorchCase, tensorOf } from '../test/pytorch.js';
import { applyEmbedding, applyEmbeddings, type Embedding, embeddingParameters } from './embedding.js';
import { initParameters } from './params.js';

beforeAll(() => useBackend(testBackend));

describe('applyEmbedding', () => {
  it('gives PyTorch’s values and gradients, repeated indices included', () => {
    const expected =
      pytorchCase<Record<'weight' | 'indices' | 'output' | 'upstream' | 'gradient', Parameters<typeof tensorOf>[0]>>(
        'embedding',
      );
    const indices = tensorOf(expected.indices, 'int32');
    const weight = tensorOf(expected.weight);
    const before = tf.memory().numTensors;
    const output = applyEmbedding({ weight }, indices);
    expect(tf.memory().numTensors).toBe(before + 1);
    expect(output.shape).toEqual([2, 3, 3]);
    expectClose(output.dataSync(), expected.output.data, 1e-8);
    const gradient = tf.grad((w) => applyEmbedding({ weight: w }, indices))(weight, tensorOf(expected.upstream));
    expectClose(gradient.dataSync(), expected.gradient.data, 1e-6);
  });

  it('has the same gradient where the table is too large for one-hot rows', () => {
    const indices = tf.tensor1d([3, 5000, 3], 'int32');
    const upstream = tf.tensor2d([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const gradient = tf
      .grad((weight) => applyEmbedding({ weight }, indices))(tf.zeros([5001, 2]), upstream)
      .dataSync();
    expect([...gradient.slice(6, 8), ...gradient.slice(10_000)]).toEqual([6, 8, 3, 4]);
    expect(gradient.filter((value) => value !== 0).length).toBe(4);
  });

  it('has a gradient for a table of one entry, as of a model with one class', () => {
    const indices = tf.tensor1d([0, 0, 0], 'int32');
    const upstream = tf.tensor2d([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const gradient = tf.grad((weight) => applyEmbedding({ weight }, indices))(tf.tensor2d([[7, 8]]), upstream);
    expect(gradient.arraySync()).toEqual([[9, 12]]);
  });

  it('keeps indices that were made inside for the backward pass', () => {
    const weight = tf.tensor2d([[1], [2]]);
    const looked = (table: tf.Tensor) =>
      tf.tidy(() => applyEmbedding({ weight: table }, tf.sub(tf.tensor1d([1, 2, 2], 'int32'), tf.scalar(1, 'int32'))));
    expect(Array.from(tf.grad(looked)(weight).dataSync())).toEqual([1, 2]);
  });

  it('refuses indices that are not int32', () => {
    const table = initParameters<Embedding>(randomKey(1), embeddingParameters(4, 2, 1));
    expect(() => applyEmbedding(table, tf.tensor1d([0.5]))).toThrow('indices must be int32, got float32');
  });
});

describe('applyEmbeddings', () => {
  it.each([7, 5000])('is each table on its own column, with its gradients, at %s entries', (entries) => {
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const tables = [1, 2].map(
        (seed) => initParameters<Embedding>(randomKey(seed), embeddingParameters(entries, 3, 1)).weight,
      );
      const indices = tf.tensor2d(
        [
          [0, 6],
          [5, 6],
          [0, 1],
        ],
        undefined,
        'int32',
      );
      const apart = (...weights: tf.Tensor[]) =>
        tf.stack(
          tf.unstack(indices, 1).map((each, t) => applyEmbedding({ weight: weights[t] }, each)),
          1,
        );
      const together = (...weights: tf.Tensor[]) =>
        applyEmbeddings(
          weights.map((weight) => ({ weight })),
          indices,
        );
      const [expected, actual] = [apart, together].map((apply) => [
        apply(...tables),
        ...tf.grads((...weights) => tf.sum(tf.square(apply(...weights))))(tables),
      ]);
      for (const [i, tensor] of actual.entries()) expectClose(tensor.dataSync(), expected[i].dataSync(), 1e-6);
      expect(() => applyEmbeddings([{ weight: tables[0] }], indices)).toThrow('indices must be [*, 1], got [3, 2]');
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('embeddingParameters', () => {
  it('is Gaussian with the given deviation', () => {
    const { weight } = initParameters<Embedding>(randomKey(1), embeddingParameters(200, 100, 0.02));
    expect(weight.shape).toEqual([200, 100]);
    const { mean, variance } = tf.moments(weight);
    expect(Math.abs(mean.dataSync()[0])).toBeLessThan(1e-3);
    expect(Math.sqrt(variance.dataSync()[0])).toBeCloseTo(0.02, 3);
  });
});
