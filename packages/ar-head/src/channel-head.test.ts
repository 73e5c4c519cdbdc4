import { countParameters, flattenShapes } from '@tb/nn';
import { flattenTree, mapTree, randomKey, splitKey, type Tree, uniform, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ChannelHead, channelHeadShapes, initChannelHead } from './channel-head.js';
import { assertChannelHeadConfig, type ChannelHeadConfig, channelHeadSizes } from './config.js';
import { channelLogits, sampleChannels, symbolsToTokens, tokensToSymbols } from './predict.js';

beforeAll(() => useBackend(testBackend));

/** How much equal rows of one product may differ: TensorFlow rounds them differently on some processors. */
const rowRounding = testBackend === 'tensorflow' ? 1e-6 : 0;

const small: ChannelHeadConfig = {
  kind: 'autoregressive',
  channels: 4,
  levels: 3,
  groupSize: 1,
  featureWidth: 6,
  width: 8,
  depth: 2,
  heads: 2,
  mlpRatio: 2,
};
const variants: [string, ChannelHeadConfig][] = [
  ['autoregressive', small],
  ['in groups of 2', { ...small, groupSize: 2 }],
  ['in groups of 4', { ...small, groupSize: 4 }],
  ['in another order of channels', { ...small, channelOrder: [2, 0, 3, 1] }],
  ['in groups of 2 in another order', { ...small, groupSize: 2, channelOrder: [2, 0, 3, 1] }],
  ['parallel', { ...small, kind: 'parallel' }],
  ['parallel in groups of 2', { ...small, kind: 'parallel', groupSize: 2 }],
];

/** Random everywhere, zero modulations included: nothing may hide behind an identity. */
function randomHead(config: ChannelHeadConfig, seed = 5): ChannelHead {
  const params = initChannelHead(randomKey(seed), config);
  const keys = splitKey(randomKey(seed), countLeaves(params));
  let next = 0;
  return mapTree(({ shape }) => tf.sub(uniform(keys[next++], shape), 0.5), params);
}
const countLeaves = (tree: Tree<tf.Tensor>) => Object.keys(flattenTree(tree)).length;

const rows = (count: number, seed = 1) =>
  tf.sub(uniform(randomKey(seed), [count, small.featureWidth]), 0.5) as tf.Tensor2D;
const flat = (tensor: tf.Tensor) => [...tensor.dataSync()];

describe.each(variants)('a head %s', (_, config) => {
  it('has the parameters of its shapes', () => {
    const shapes = flattenShapes(channelHeadShapes(config));
    const params = initChannelHead(randomKey(0), config);
    expect(Object.entries(flattenTree(params)).map(([name, { shape }]) => [name, shape])).toEqual(
      Object.entries(shapes),
    );
  });

  it('gives the same logits when it samples with a cache as for tokens that are given', () => {
    const params = randomHead(config);
    const features = rows(6);
    for (const firstPosition of ['sampling', 'training'] as const) {
      const grouped = tf.reshape<tf.Rank.R3>(features, [2, 3, -1]);
      const draw = { temperature: 2, keys: tf.stack([randomKey(1), randomKey(2)]) };
      const sample = sampleChannels(params, config, grouped, { draw, firstPosition });
      const tokens = tf.reshape<tf.Rank.R2>(sample.tokens, [6, config.channels]);
      const forced = channelLogits(params, config, features, tokens, { firstPosition });
      expectClose(sample.logits.dataSync(), forced.dataSync(), 1e-5);
      const expected = tf.sum(tf.mul(tf.logSoftmax(forced), oneHotSymbols(config, tokens)), [1, 2]);
      expectClose(sample.logProbability.dataSync(), expected.dataSync(), 1e-5);
    }
  });

  it('takes the likeliest symbol of each group when greedy', () => {
    const sample = sampleChannels(randomHead(config), config, tf.reshape(rows(6), [3, 2, -1]));
    const symbols = tokensToSymbols(config, sample.tokens);
    expect(flat(tf.argMax(sample.logits, 3))).toEqual(flat(symbols));
  });

  it('disposes what it makes', () => {
    const params = randomHead(config);
    const features = rows(4);
    const before = tf.memory().numTensors;
    tf.dispose(
      sampleChannels(
        params,
        config,
        tf.tidy(() => tf.reshape(features, [2, 2, -1])),
      ) as never,
    );
    expect(tf.memory().numTensors - before).toBeLessThanOrEqual(1); // the reshaped input
  });
});

function oneHotSymbols(config: ChannelHeadConfig, tokens: tf.Tensor): tf.Tensor {
  return tf.oneHot(tokensToSymbols(config, tokens), config.levels ** config.groupSize);
}

describe('channelLogits', () => {
  const tokens = (values: number[][]) => tf.tensor2d(values, [values.length, 4], 'int32');

  it('lets a group depend on the tokens before it and on no others', () => {
    const params = randomHead(small);
    const features = tf.tidy(() => tf.tile(rows(1), [2, 1])) as tf.Tensor2D;
    const [first, second] = tf.unstack(
      channelLogits(
        params,
        small,
        features,
        tokens([
          [0, 1, 2, 0],
          [0, 1, 0, 2],
        ]),
      ),
    );
    const difference = tf.max(tf.abs(tf.sub(first, second)), 1).dataSync(); // per group
    for (const before of difference.slice(0, 3)) expect(before).toBeLessThanOrEqual(rowRounding);
    expect(difference[3]).toBeGreaterThan(1e-3);
  });

  it('does not depend on tokens at all in a parallel head', () => {
    const config: ChannelHeadConfig = { ...small, kind: 'parallel' };
    const features = tf.tidy(() => tf.tile(rows(1), [2, 1])) as tf.Tensor2D;
    const logits = channelLogits(
      randomHead(config),
      config,
      features,
      tokens([
        [0, 1, 2, 0],
        [2, 2, 0, 1],
      ]),
    );
    const [first, second] = tf.unstack(logits);
    expectClose(first.dataSync(), second.dataSync(), rowRounding);
  });

  it('differs between the two forms of the first input', () => {
    const params = randomHead(small);
    const known = tokens([[0, 1, 2, 0]]);
    const forms = (['training', 'sampling'] as const).map((firstPosition) =>
      flat(channelLogits(params, small, rows(1), known, { firstPosition })),
    );
    expect(forms[0]).not.toEqual(forms[1]);
    expect(flat(channelLogits(params, small, rows(1), known))).toEqual(forms[0]);
  });

  it('gives the same gradients when it rematerializes, and drops out by key', () => {
    const params = randomHead(small);
    const [features, known] = [
      rows(3),
      tokens([
        [0, 1, 2, 0],
        [2, 1, 1, 0],
        [1, 1, 0, 2],
      ]),
    ];
    const dropout = { attention: 0.3, projection: 0.3, key: randomKey(4) };
    const gradient = (rematerialize: boolean, key = dropout.key) =>
      tf.grad((x) =>
        tf.sum(channelLogits(params, small, x as tf.Tensor2D, known, { rematerialize, dropout: { ...dropout, key } })),
      )(features);
    const [plain, again] = [gradient(false), gradient(true)];
    expectClose(again.dataSync(), plain.dataSync(), 1e-5);
    expect(flat(gradient(false, randomKey(5)))).not.toEqual(flat(plain));
  });

  it('names what does not fit', () => {
    const params = randomHead(small);
    expect(() => channelLogits(params, small, rows(2), tokens([[0, 1, 2, 0]]))).toThrow(
      'tokens must be [2, 4], got [1, 4]',
    );
    expect(() => sampleChannels(params, small, tf.zeros([1, 2, 5]))).toThrow(
      'features must be [1, 2, 6], got [1, 2, 5]',
    );
  });
});

describe('sampleChannels', () => {
  it('draws an image by its key, at any place and with any padding', () => {
    const params = randomHead(small);
    const features = tf.reshape<tf.Rank.R3>(rows(6), [2, 3, -1]);
    const keys = tf.stack([randomKey(1), randomKey(2)]);
    const draw = (x: tf.Tensor3D, imageKeys: tf.Tensor) =>
      flat(sampleChannels(params, small, x, { draw: { temperature: 5, keys: imageKeys } }).tokens);
    const both = draw(features, keys);
    const second = draw(tf.slice(features, [1, 0, 0], [1, 2, -1]), tf.slice(keys, [1, 0]));
    expect(second).toEqual(both.slice(12, 20));
  });

  it('draws from softmax(logits / temperature)', () => {
    const params = randomHead(small);
    const [draws, temperature] = [4000, 0.5];
    const features = tf.tidy(() => tf.reshape<tf.Rank.R3>(tf.tile(rows(1), [draws, 1]), [1, draws, -1]));
    const sample = sampleChannels(params, small, features, {
      draw: { temperature, keys: tf.expandDims(randomKey(3), 0) },
    });
    const first = sample.tokens.dataSync().filter((_, index) => index % 4 === 0);
    const logits = tf.slice(sample.logits, [0, 0, 0, 0], [1, 1, 1, -1]);
    const expected = tf.softmax(tf.div(logits, temperature)).dataSync();
    expected.forEach((probability, token) => {
      const share = first.filter((each) => each === token).length / draws;
      expect(Math.abs(share - probability)).toBeLessThan(4 * Math.sqrt(probability / draws) + 1e-3);
    });
  });
});

describe('symbols', () => {
  it('are the tokens of a group as digits, the groups in the order of channels', () => {
    const tokens = tf.tensor2d([[1, 2, 0, 3]], [1, 4], 'int32');
    const symbols = (groupSize: 1 | 2 | 4, channelOrder?: number[]) =>
      flat(tokensToSymbols({ levels: 10, groupSize, channelOrder }, tokens));
    expect(symbols(1)).toEqual([1, 2, 0, 3]);
    expect(symbols(2)).toEqual([12, 3]);
    expect(symbols(4)).toEqual([1203]);
    expect(symbols(1, [3, 0, 1, 2])).toEqual([3, 1, 2, 0]);
    expect(symbols(2, [3, 0, 1, 2])).toEqual([31, 20]);
  });

  it('become the same tokens again', () => {
    const groups = fc.constantFrom<[number, 1 | 2 | 4]>([16, 4], [64, 2], [256, 2], [7, 1], [3, 4]);
    const orders = fc.constantFrom(undefined, [2, 0, 3, 1], [3, 2, 1, 0]);
    fc.assert(
      fc.property(groups, orders, fc.integer({ min: 1, max: 2 ** 31 }), ([levels, groupSize], channelOrder, seed) => {
        tf.tidy(() => {
          const drawn = tf.floor(tf.mul(uniform(randomKey(seed), [5, 4]), levels));
          const tokens = tf.cast(drawn, 'int32');
          const config = { levels, groupSize, channelOrder };
          const symbols = tokensToSymbols(config, tokens);
          expect(symbols.shape).toEqual([5, 4 / groupSize]);
          expect(symbolsToTokens(config, symbols).arraySync()).toEqual(tokens.arraySync());
        });
      }),
      { numRuns: 30 },
    );
  });
});

describe('sizes and configuration', () => {
  it('has Tab. 2(d)’s largest vocabulary', () => {
    const config = { ...small, ...channelHeadSizes.base, channels: 16, levels: 16, featureWidth: 768 };
    const count = (groupSize: 1 | 2 | 4) => countParameters(channelHeadShapes({ ...config, groupSize }));
    // 4 classifiers and 3 embeddings of 65,536 symbols by width 1024 add what the table adds, 470M.
    expect((count(4) - count(1)) / 1e6).toBeCloseTo(469, 0);
  });

  it('refuses an order that is not one of all channels', () => {
    for (const channelOrder of [
      [0, 1, 2],
      [0, 1, 2, 2],
      [0, 1, 2, 4],
    ])
      expect(() => assertChannelHeadConfig({ ...small, channelOrder })).toThrow('channelOrder must hold each of 0 … 3');
  });

  it('lists everything that is wrong', () => {
    const wrong = { ...small, groupSize: 3 as never, heads: 3, levels: 70000 };
    expect(() => assertChannelHeadConfig(wrong)).toThrow(
      /groupSize must be 1, 2 or 4, got 3.*channels must be a multiple of the groupSize 3.*at most 65536.*multiple of the 3 heads/,
    );
  });
});
