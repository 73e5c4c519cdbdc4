import { flattenShapes } from '@tb/nn';
import {
  disposeTree,
  flattenTree,
  mapTree,
  normal,
  randomKey,
  splitKey,
  type Tree,
  uniform,
  useBackend,
} from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { assertDiffusionHeadConfig, type DiffusionHeadConfig } from './config.js';
import { type DiffusionHead, diffusionHeadShapes, initDiffusionHead } from './diffusion-head.js';
import { diffusionLoss } from './loss.js';
import { conditionOnFeatures, denoise, drawSampleNoise, sampleValues } from './sample.js';
import { noiseSchedule } from './schedule.js';

beforeAll(() => useBackend(testBackend));

const config: DiffusionHeadConfig = { channels: 3, featureWidth: 5, width: 8, depth: 2 };

/** Random everywhere, zero modulations included: nothing may hide behind an identity. */
function randomHead(): DiffusionHead {
  const params = initDiffusionHead(randomKey(5), config);
  const keys = splitKey(randomKey(6), Object.keys(flattenTree(params as Tree<tf.Tensor>)).length);
  let next = 0;
  return mapTree(({ shape }: tf.Tensor) => tf.mul(tf.sub(uniform(keys[next++], shape), 0.5), 0.4), params as never);
}

const featuresOf = (images: number, positions: number) =>
  normal(randomKey(1), [images, positions, config.featureWidth]) as tf.Tensor3D;
const keysOf = (...seeds: number[]) => tf.stack(seeds.map((seed) => randomKey(seed)));

describe('the parameters', () => {
  it('have the shapes that are declared', () => {
    const leaves = flattenTree<tf.Tensor>(initDiffusionHead(randomKey(0), config) as never);
    expect(Object.entries(leaves).map(([name, { shape }]) => [name, shape])).toEqual(
      Object.entries(flattenShapes(diffusionHeadShapes(config))),
    );
  });

  it('predict no noise before training, so the squared error is that of the noise', () => {
    const values = normal(randomKey(1), [4, 3]) as tf.Tensor2D;
    const noise = normal(randomKey(2), [4, 3]) as tf.Tensor2D;
    const features = normal(randomKey(3), [4, 5]) as tf.Tensor2D;
    const timesteps = tf.tensor1d([0, 1, 500, 999], 'int32');
    const { squaredError, variationalBound } = diffusionLoss(initDiffusionHead(randomKey(0), config), {
      values,
      noise,
      features,
      timesteps,
    });
    expectClose(squaredError.dataSync(), tf.mean(tf.square(noise), 1).dataSync(), 1e-6);
    expect([...variationalBound.dataSync()].every((bits) => bits >= 0 && Number.isFinite(bits))).toBe(true);
  });
});

describe('sampleValues', () => {
  it('gives the same in one call as in parts', () => {
    const params = randomHead();
    const [features, free] = [featuresOf(2, 3), tf.neg(featuresOf(2, 3)) as tf.Tensor3D];
    const keys = keysOf(1, 2);
    const guidance = { features: free, scale: 2 };
    const before = tf.memory().numTensors;
    const whole = sampleValues(params, features, { keys, steps: 6, temperature: 0.9, guidance });
    expect(tf.memory().numTensors).toBe(before + 1);
    const both = tf.reshape(tf.concat([features, free], 0), [12, 5]) as tf.Tensor2D;
    const noise = drawSampleNoise(keys, 3, 3);
    const condition = conditionOnFeatures(params, both, 6);
    let state = { values: noise.start, remaining: tf.scalar(6, 'int32') };
    const settings = {
      steps: 6,
      count: 2,
      temperature: tf.scalar(0.9),
      guidanceScale: tf.scalar(2),
      noise: noise.step,
    };
    for (let call = 0; call < 3; call++) state = denoise(params, state, condition, settings);
    expect([...state.values.dataSync()]).toEqual([...whole.dataSync()]);
    expect(state.remaining.dataSync()[0]).toBe(0);
  });

  it('gives an image the same values alone, in a batch, and with more positions', () => {
    const params = randomHead();
    const features = featuresOf(2, 3);
    const both = sampleValues(params, features, { keys: keysOf(1, 2), steps: 4 });
    const second = tf.slice(features, [1, 0, 0], [1, 2, -1]);
    const alone = sampleValues(params, second, { keys: keysOf(2), steps: 4 });
    expectClose(alone.dataSync(), tf.slice(both, [1, 0, 0], [1, 2, -1]).dataSync(), 1e-5);
  });

  it('is the conditional sample at a guidance scale of 1', () => {
    const params = randomHead();
    const features = featuresOf(1, 2);
    const guidance = { features: tf.neg(features) as tf.Tensor3D, scale: 1 };
    const plain = sampleValues(params, features, { keys: keysOf(1), steps: 4 });
    const guided = sampleValues(params, features, { keys: keysOf(1), steps: 4, guidance });
    expectClose(guided.dataSync(), plain.dataSync(), 1e-5);
  });
});

it('frees everything when it throws', () => {
  const params = randomHead();
  const features = featuresOf(1, 2);
  const keys = keysOf(1);
  const before = tf.memory().numTensors;
  expect(() => sampleValues(params, features, { keys, steps: 1 })).toThrow(
    /steps must be an integer in \[2, 1000\], got 1/,
  );
  const narrow = tf.zeros([1, 2, 4]) as tf.Tensor3D;
  expect(() => sampleValues(params, narrow, { keys, steps: 4 })).toThrow(/features must have a last axis of 5/);
  narrow.dispose();
  expect(tf.memory().numTensors).toBe(before);
  disposeTree([features, keys]);
});

it('refuses sizes that no head can have', () => {
  expect(() => assertDiffusionHeadConfig({ ...config, width: 0, depth: 1.5 })).toThrow(
    'width must be a positive integer, got 0; depth must be a positive integer, got 1.5',
  );
  expect(() => noiseSchedule(1001)).toThrow(RangeError);
});
