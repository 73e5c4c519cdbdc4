import { mapTree, randomKey, treeLeaves, useBackend } from '@tb/runtime';
import { decode, encode, initVae, kl16, type Vae, type VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { valueAndGradients } from '../train-step.js';
import { calibrateVae, createLatentStatistics } from './calibrate-vae.js';
import { vaeLoss } from './vae-loss.js';

const config: VaeConfig = {
  ...kl16,
  channels: 32,
  channelMultipliers: [1, 1],
  residualBlocks: 1,
  resolution: 16,
  latentChannels: 4,
  bottleneckChannels: 4,
  encoderAttentionResolutions: [],
};

describe('the autoencoder in training', () => {
  beforeAll(() => useBackend('wasm'));

  it('vaeLoss has a gradient for every parameter', () => {
    const key = randomKey(1);
    const params = initVae(key, config);
    const images = tf.randomUniform<tf.Rank.R4>([2, 8, 8, 3], -1, 1, 'float32', 4);
    const { loss, metrics, gradients } = tf.tidy(
      () => valueAndGradients((tree) => vaeLoss(tree as Vae, config, images, key), params as never) as never,
    ) as ReturnType<typeof valueAndGradients>;
    const { absolute, squared, gradient, kl } = mapTree((value: tf.Tensor) => value.dataSync()[0], metrics);
    expect(loss.dataSync()[0]).toBeCloseTo(absolute + squared + 0.5 * gradient + 1e-4 * kl, 5);
    for (const leaf of treeLeaves<tf.Tensor>(gradients)) expect(Number.isFinite(tf.sum(leaf).dataSync()[0])).toBe(true);
    const moved = treeLeaves<tf.Tensor>(gradients).filter((leaf) => tf.max(tf.abs(leaf)).dataSync()[0] > 0);
    expect(moved.length / treeLeaves<tf.Tensor>(gradients).length).toBeGreaterThan(0.9);
    tf.dispose([loss, metrics, gradients] as unknown as tf.TensorContainer);
  });

  it('calibrateVae gives every channel unit variance and keeps the images', () => {
    const params = initVae(randomKey(2), config);
    const images = tf.randomUniform<tf.Rank.R4>([4, 16, 16, 3], -1, 1, 'float32', 5);
    const statistics = createLatentStatistics(config.latentChannels);
    const before = encode(params, config, images);
    statistics.add(before.mean.dataSync());
    const calibrated = calibrateVae(params, config, statistics.finish());
    const after = encode(calibrated, config, images);
    const check = createLatentStatistics(config.latentChannels);
    check.add(tf.mul(after.mean, config.latentScale).dataSync());
    const { mean, deviation } = check.finish();
    for (const value of mean) expect(value).toBeCloseTo(0, 3);
    for (const value of deviation) expect(value).toBeCloseTo(1, 3);
    const difference = tf.sub(decode(params, config, before.mean), decode(calibrated, config, after.mean));
    expect(tf.max(tf.abs(difference)).dataSync()[0]).toBeLessThan(1e-3);
  });
});
