import { flattenShapes } from '@tb/nn';
import { flattenTree, hostRandom, mapTree, randomKey, splitKey, uniform, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { applyBackbone, type Backbone, type BackboneInputs, backboneShapes, initBackbone } from './backbone.js';
import type { BackboneConfig } from './config.js';
import {
  gatherPositions,
  type Masking,
  maskingOfOrders,
  positionLists,
  randomOrder,
  selectPositions,
} from './positions.js';

beforeAll(() => useBackend(testBackend));

const config: BackboneConfig = {
  positions: 9,
  channels: 3,
  classes: 4,
  bufferSize: 2,
  encoder: { width: 8, depth: 2, heads: 2 },
  decoder: { width: 12, depth: 1, heads: 3 },
  mlpRatio: 2,
};

function inputs(masking: Masking, seed = 1): BackboneInputs {
  const [images] = masking.visible.shape;
  return {
    values: uniform(randomKey(seed), [images, config.positions, config.channels]) as tf.Tensor3D,
    visible: masking.visible,
    labels: tf.range(0, images, 1, 'int32'),
    unlabelled: tf.zeros([images]),
  };
}

const orders = (images: number, seed = 7) => {
  const random = hostRandom(seed);
  return Array.from({ length: images }, () => randomOrder(random, config.positions));
};

/** Random everywhere: norms at identity would hide mistakes. */
function randomBackbone(): Backbone {
  const params = initBackbone(randomKey(0), config);
  const keys = splitKey(randomKey(1), Object.keys(flattenTree(params)).length);
  let next = 0;
  return mapTree(({ shape }) => tf.sub(uniform(keys[next++], shape), 0.5), params);
}

describe('applyBackbone', () => {
  it('has the parameters of its shapes', () => {
    const params = initBackbone(randomKey(0), config);
    const shapes = Object.entries(flattenTree(params)).map(([name, { shape }]) => [name, shape]);
    expect(shapes).toEqual(Object.entries(flattenShapes(backboneShapes(config))));
  });

  it('gives the same numbers with padding as without, gradients included', () => {
    const params = randomBackbone();
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 2, max: 9 }), (masked, granularity) => {
        tf.tidy(() => {
          const run = (padding: number) => {
            const given = inputs(maskingOfOrders(orders(2), masked, padding));
            const { value, grad } = tf.valueAndGrad((values) =>
              tf.sum(tf.square(applyBackbone(params, config, { ...given, values: values as tf.Tensor3D }))),
            )(given.values);
            return { value, grad };
          };
          const [exact, padded] = [run(1), run(granularity)];
          expectClose(padded.value.dataSync(), exact.value.dataSync(), 1e-5);
          expectClose(padded.grad.dataSync(), exact.grad.dataSync(), 1e-4);
        });
      }),
      { numRuns: 15 },
    );
  });

  it('does not depend on the order in which visible positions are listed, nor on hidden values', () => {
    const params = randomBackbone();
    const list = (...positions: number[]) => ({ ...inputs({ visible: positionLists([positions], 4) } as Masking) });
    const features = applyBackbone(params, config, list(1, 5, 6));
    expectClose(applyBackbone(params, config, list(6, 1, 5)).dataSync(), features.dataSync(), 1e-5);
    const hidden = tf.tensor([0, 1, 1, 1, 1, 0, 0, 1, 1].map((known, i) => (known && i !== 1 ? 50 : 0)));
    const given = list(1, 5, 6);
    const disturbed = tf.add(given.values, tf.reshape(hidden, [1, 9, 1])) as tf.Tensor3D;
    expect(applyBackbone(params, config, { ...given, values: disturbed }).dataSync()).toEqual(features.dataSync());
  });

  it('takes fake_latent for images whose class is hidden', () => {
    const params = randomBackbone();
    const given = inputs(maskingOfOrders(orders(1), 5));
    const hidden = { ...given, unlabelled: tf.ones<tf.Rank.R1>([1]) };
    const relabelled = { ...hidden, labels: tf.tensor1d([3], 'int32') };
    const features = applyBackbone(params, config, hidden).dataSync();
    expect(applyBackbone(params, config, relabelled).dataSync()).toEqual(features);
    expect(applyBackbone(params, config, given).dataSync()).not.toEqual(features);
  });

  it('gives the same gradients when it rematerializes, and drops out by key', () => {
    const params = randomBackbone();
    const given = inputs(maskingOfOrders(orders(2), 5));
    const gradient = (rematerialize: boolean, seed = 3) =>
      tf.grad((values) => {
        const dropout = { attention: 0.2, projection: 0.2, key: randomKey(seed) };
        return tf.sum(
          applyBackbone(params, config, { ...given, values: values as tf.Tensor3D }, { rematerialize, dropout }),
        );
      })(given.values);
    const plain = gradient(false).dataSync();
    expectClose(gradient(true).dataSync(), plain, 1e-4);
    expect(gradient(false, 4).dataSync()).not.toEqual(plain);
  });

  it('disposes what it makes', () => {
    const params = randomBackbone();
    const given = inputs(maskingOfOrders(orders(2), 5));
    const before = tf.memory().numTensors;
    applyBackbone(params, config, given).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('names what does not fit', () => {
    const params = randomBackbone();
    const given = inputs(maskingOfOrders(orders(2), 5));
    expect(() => applyBackbone(params, config, { ...given, values: tf.zeros([2, 8, 3]) })).toThrow(
      'values must be [2, 9, 3], got [2, 8, 3]',
    );
    const wrong = { ...config, encoder: { width: 8, depth: 0, heads: 3 } };
    expect(() => backboneShapes(wrong)).toThrow(
      /encoder.depth.*got 0; encoder.width must be a multiple of its 3 heads/,
    );
  });
});

describe('selections of positions', () => {
  it('pick rows of features and of integers, image by image', () => {
    const features = tf.reshape<tf.Rank.R3>(tf.range(0, 3 * 4 * 2), [3, 4, 2]);
    const indices = tf.tensor2d(
      [
        [3, -1],
        [0, 2],
        [1, 1],
      ],
      [3, 2],
      'int32',
    );
    const picked = [6, 7, 0, 0, 8, 9, 12, 13, 18, 19, 18, 19];
    expect([...selectPositions(features, indices).dataSync()]).toEqual(picked);
    const integers = tf.cast(features, 'int32') as tf.Tensor3D;
    expect([...gatherPositions(integers, indices).dataSync()]).toEqual(picked.map((v, i) => (i === 3 ? 1 : v)));
  });
});
