import { randomKey, splitKey, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { klDivergence, negativeLogLikelihood, type Posterior, posteriorOf, sampleLatent } from './posterior.js';

beforeAll(() => useBackend(testBackend));

const posterior = (mean: number, variance: number, shape: [number, number, number, number]): Posterior => ({
  mean: tf.fill(shape, mean),
  logVariance: tf.fill(shape, Math.log(variance)),
});

describe('sampleLatent', () => {
  it('has the posterior’s mean and deviation', () => {
    const before = tf.memory().numTensors;
    const [mean, deviation] = tf.tidy(() => {
      const sample = sampleLatent(posterior(3, 4, [2, 50, 50, 4]), randomKey(1));
      const moments = tf.moments(sample);
      return [moments.mean.dataSync()[0], Math.sqrt(moments.variance.dataSync()[0])];
    });
    expect(mean).toBeCloseTo(3, 1);
    expect(deviation).toBeCloseTo(2, 1);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('gives an image the same latent at any place of a batch, with a key per image', () => {
    tf.tidy(() => {
      const [first, second] = splitKey(randomKey(5), 2);
      const both = sampleLatent(posterior(0, 1, [2, 2, 2, 3]), tf.stack([first, second]));
      const swapped = sampleLatent(posterior(0, 1, [2, 2, 2, 3]), tf.stack([second, first]));
      // Vectorized logarithms may round differently by place.
      expectClose(tf.reverse(swapped, 0).dataSync(), both.dataSync(), 1e-6);
    });
  });
});

describe('klDivergence', () => {
  it('is zero for the standard normal and positive elsewhere', () => {
    expect(klDivergence(posterior(0, 1, [1, 2, 2, 3])).dataSync()[0]).toBeCloseTo(0, 6);
    expect(klDivergence(posterior(1, 1, [1, 2, 2, 3])).dataSync()[0]).toBeCloseTo(6, 5); // 12 · ½
    expect(klDivergence(posterior(0, 2, [1, 1, 1, 1])).dataSync()[0]).toBeCloseTo((2 - 1 - Math.log(2)) / 2, 6);
  });

  it('is the mean difference of log-densities under the posterior', () => {
    tf.tidy(() => {
      const shape: [number, number, number, number] = [1, 100, 100, 8];
      const [from, standard] = [posterior(0.5, 0.3, shape), posterior(0, 1, shape)];
      const sample = sampleLatent(from, randomKey(2));
      const estimate = tf.sub(negativeLogLikelihood(standard, sample), negativeLogLikelihood(from, sample));
      expectClose(estimate.dataSync(), klDivergence(from).dataSync(), 0.02);
    });
  });
});

describe('posteriorOf', () => {
  it('clamps the log-variance to [-30, 20]', () => {
    const { mean, logVariance } = posteriorOf(tf.tensor4d([[[[-90, -90]]], [[[90, 90]]]]));
    expect(Array.from(mean.dataSync())).toEqual([-90, 90]);
    expect(Array.from(logVariance.dataSync())).toEqual([-30, 20]);
  });
});
