import { disposeTree, flattenTree, normal, randomKey, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectLikePyTorch, pytorchCase, tensorOf } from '../test/pytorch.js';
import {
  type Attention,
  applyAttention,
  applyCachedAttention,
  attentionParameters,
  type KeyValueCache,
} from './attention.js';
import { flattenShapes, initParameters, shapesOf } from './params.js';

beforeAll(() => useBackend(testBackend));

const heads = 2;
const attend = (params: Attention, x: tf.Tensor3D) => applyAttention(params, x, { heads });

describe('applyAttention', () => {
  it('gives PyTorch’s values and gradients', () => expectLikePyTorch('attention', attend));
  it('gives PyTorch’s values and gradients with norms of queries and keys', () =>
    expectLikePyTorch('attentionQkNorm', attend));
  it('gives PyTorch’s values and gradients with a causal mask', () =>
    expectLikePyTorch('attentionCausal', (params: Attention, x: tf.Tensor3D) =>
      applyAttention(params, x, { heads, causal: true }),
    ));
  it('gives PyTorch’s values and gradients with padding', () => {
    const keyCounts = tensorOf<tf.Tensor1D>(
      pytorchCase<{ keyCounts: { shape: number[]; data: number[] } }>('attentionKeyCounts').keyCounts,
      'int32',
    );
    expectLikePyTorch('attentionKeyCounts', (params: Attention, x: tf.Tensor3D) =>
      applyAttention(params, x, { heads, keyCounts }),
    );
  });

  it('gives the same numbers with padding as without, however many keys are padding', () => {
    const params = initParameters<Attention>(randomKey(3), attentionParameters({ width: 8, heads, qkNorm: true }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 5 }), (valid, padding) => {
        tf.tidy(() => {
          const x = normal(randomKey(20), [2, valid, 8]) as tf.Tensor3D;
          const garbage = tf.mul(normal(randomKey(30), [2, padding, 8]), 100);
          const keyCounts = tf.fill([2], valid, 'int32') as tf.Tensor1D;
          const padded = applyAttention(params, tf.concat([x, garbage], 1) as tf.Tensor3D, { heads, keyCounts });
          const plain = applyAttention(params, x, { heads });
          expectClose(tf.slice(padded, [0, 0, 0], [2, valid, 8]).dataSync(), plain.dataSync(), 1e-6);
        });
      }),
      { numRuns: 20 },
    );
    disposeTree(params);
  });

  it('gives the same numbers for many sequences, which it projects by three products', () => {
    const sequences = 2000; // of 5 positions: more than 8,192 rows
    const params = initParameters<Attention>(randomKey(3), attentionParameters({ width: 8, heads }));
    tf.tidy(() => {
      const biased = { ...params, qkv: { ...params.qkv, bias: normal(randomKey(31), [24]) } } as Attention;
      const x = normal(randomKey(21), [3, 5, 8]) as tf.Tensor3D;
      const many = applyAttention(biased, tf.tile(x, [sequences, 1, 1]), { heads });
      expectClose(tf.slice(many, [3, 0, 0], [3, 5, 8]).dataSync(), attend(biased, x).dataSync(), 1e-6);
    });
    disposeTree(params);
  });

  it('drops attention weights and outputs by the key', () => {
    const params = initParameters<Attention>(randomKey(3), attentionParameters({ width: 8, heads }));
    const x = normal(randomKey(22), [2, 5, 8]) as tf.Tensor3D;
    const run = (seed: number, attention: number, projection: number) =>
      Array.from(
        applyAttention(params, x, {
          heads,
          dropout: { attention, projection, keys: [randomKey(seed), randomKey(seed + 100)] },
        }).dataSync(),
      );
    expect(run(1, 0.5, 0.5)).toEqual(run(1, 0.5, 0.5));
    expect(run(1, 0.5, 0)).not.toEqual(run(2, 0.5, 0));
    expect(run(1, 0, 0)).toEqual(Array.from(attend(params, x).dataSync()));
    expect(run(1, 0, 0.5).some((value) => value === 0)).toBe(true);
  });

  it('refuses a width that the heads do not divide, and counts of the wrong shape', () => {
    expect(() => attentionParameters({ width: 8, heads: 3 })).toThrow('got 8 and 3');
    const params = initParameters<Attention>(randomKey(0), attentionParameters({ width: 8, heads }));
    const x = tf.ones<tf.Rank.R3>([2, 3, 8]);
    expect(() => applyAttention(params, x, { heads: 3 })).toThrow('width must be a multiple of heads, got 8 and 3');
    expect(() => applyAttention(params, x, { heads, keyCounts: tf.ones([3], 'int32') })).toThrow(
      'keyCounts must be [2], got [3]',
    );
  });
});

describe('applyCachedAttention', () => {
  it('gives in pieces what causal attention gives at once', () => {
    const params = initParameters<Attention>(randomKey(5), attentionParameters({ width: 8, heads, qkNorm: true }));
    const x = normal(randomKey(23), [3, 6, 8]) as tf.Tensor3D;
    const complete = applyAttention(params, x, { heads, causal: true }).dataSync();
    const pieces = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2 }).map((sizes) => {
      const cut = sizes.filter((_, i) => sizes.slice(0, i + 1).reduce((a, b) => a + b) < 6);
      return [...cut, 6 - cut.reduce((a, b) => a + b, 0)];
    });
    fc.assert(
      fc.property(pieces, (sizes) => {
        const before = tf.memory().numTensors;
        tf.tidy(() => {
          let cache: KeyValueCache | null = null;
          const outputs: tf.Tensor3D[] = [];
          for (const piece of tf.split<tf.Tensor3D>(x, sizes, 1)) {
            const next = applyCachedAttention(params, piece, cache, { heads, causal: true });
            outputs.push(next.output);
            cache = next.cache;
          }
          expect(cache?.keys.shape).toEqual([3, heads, 6, 4]);
          expectClose(tf.concat(outputs, 1).dataSync(), complete, 1e-6);
        });
        expect(tf.memory().numTensors).toBe(before);
      }),
      { numRuns: 10 },
    );
  });

  it('returns an output and a cache, and leaves nothing else behind', () => {
    const params = initParameters<Attention>(randomKey(5), attentionParameters({ width: 8, heads }));
    const x = tf.ones<tf.Rank.R3>([1, 2, 8]);
    const before = tf.memory().numTensors;
    const first = applyCachedAttention(params, x, null, { heads, causal: true });
    const second = applyCachedAttention(params, x, first.cache, { heads, causal: true });
    expect(tf.memory().numTensors).toBe(before + 6);
    expect(first.cache.keys.isDisposed).toBe(false);
    disposeTree([first, second]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('attentionParameters', () => {
  it.each([false, true])('declares PyTorch’s shapes, which initParameters makes (norms: %s)', (qkNorm) => {
    const declaration = attentionParameters({ width: 8, heads, qkNorm });
    const expected = {
      'qkv.weight': [24, 8],
      'qkv.bias': [24],
      ...(qkNorm && { 'q_norm.weight': [4], 'q_norm.bias': [4], 'k_norm.weight': [4], 'k_norm.bias': [4] }),
      'proj.weight': [8, 8],
      'proj.bias': [8],
    };
    expect(Object.entries(flattenShapes(shapesOf<Attention>(declaration)))).toEqual(Object.entries(expected));
    const made = flattenTree<tf.Tensor>(initParameters<Attention>(randomKey(0), declaration));
    expect(Object.entries(made).map(([name, { shape }]) => [name, shape])).toEqual(Object.entries(expected));
  });
});
