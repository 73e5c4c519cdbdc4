import { countParameters } from '@tb/nn';
import {
  disposeTree,
  flattenTree,
  randomKey,
  splitKey,
  treeLeaves,
  unflattenTree,
  uniform,
  useBackend,
} from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demo, downsamplingFactor, kl16, type VaeConfig } from './config.js';
import {
  decode,
  encode,
  initVae,
  klDivergence,
  negativeLogLikelihood,
  type Posterior,
  posteriorOf,
  sampleLatent,
  type Vae,
  vaeShapes,
} from './vae.js';

/** Every kind of layer at least once, as small as can be. */
const tiny: VaeConfig = {
  imageChannels: 3,
  channels: 4,
  channelMultipliers: [1, 2],
  residualBlocks: 1,
  resolution: 8,
  encoderAttentionResolutions: [4],
  decoderAttentionResolutions: [8],
  bottleneckChannels: 3,
  latentChannels: 2,
  normGroups: 2,
  latentScale: 1,
};
let params: Vae;
let images: tf.Tensor4D;

beforeAll(async () => {
  await useBackend(testBackend);
  params = initVae(randomKey(1), tiny);
  images = tf.sub(tf.mul(uniform(randomKey(2), [3, 8, 12, 3]), 2), 1) as tf.Tensor4D;
});
afterAll(() => disposeTree([params, images]));

describe('presets', () => {
  it('kl16 has the official size', () => expect(countParameters(vaeShapes(kl16))).toBe(66_456_019));

  it('demo fits into 8 MiB in half precision', () => {
    expect(2 * countParameters(vaeShapes(demo))).toBeLessThan(8 * 2 ** 20);
  });

  it('have latents 16 and 8 times smaller than the image', () => {
    expect([kl16, demo].map(downsamplingFactor)).toEqual([16, 8]);
  });

  it('demo turns 64 × 64 images into 8 × 8 × 16 latents and back', () => {
    const key = randomKey(1);
    const before = tf.memory().numTensors;
    const vae = initVae(key, demo);
    const shapes = tf.tidy(() => {
      const { mean } = encode(vae, demo, tf.zeros([1, 64, 64, 3]));
      return [mean.shape, decode(vae, demo, mean).shape];
    });
    expect(shapes).toEqual([
      [1, 8, 8, 16],
      [1, 64, 64, 3],
    ]);
    disposeTree(vae);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('initVae', () => {
  it('makes the shapes of vaeShapes, norms at identity, biases zero', () => {
    const made = flattenTree<tf.Tensor>(params);
    expect(Object.keys(made)).toContain('decoder.up.0.attn.1.proj_out.weight');
    expect(Object.keys(made)).toContain('encoder.down.1.block.0.nin_shortcut.weight');
    for (const [name, tensor] of Object.entries(made)) {
      const values = Array.from(tensor.dataSync());
      if (name.endsWith('bias'))
        expect(
          values.every((value) => value === 0),
          name,
        ).toBe(true);
      else if (/norm/.test(name))
        expect(
          values.every((value) => value === 1),
          name,
        ).toBe(true);
      else expect(new Set(values).size, name).toBeGreaterThan(1);
    }
    expect(countParameters(params)).toBe(countParameters(vaeShapes(tiny)));
  });
});

describe('encode', () => {
  it('treats every image alone', () => {
    tf.tidy(() => {
      const together = encode(params, tiny, images);
      expect(together.mean.shape).toEqual([3, 4, 6, 2]);
      const second = encode(params, tiny, tf.slice(images, [1, 0, 0, 0], [1, 8, 12, 3]));
      expectClose(second.mean.dataSync(), tf.slice(together.mean, [1, 0, 0, 0], [1, 4, 6, 2]).dataSync(), 1e-5);
    });
  });

  it('refuses a size that the levels do not divide, and another number of channels', () => {
    expect(() => encode(params, tiny, tf.zeros([1, 7, 8, 3]))).toThrow('must be multiples of 2, got 7 and 8');
    expect(() => encode(params, tiny, tf.zeros([1, 8, 8, 1]))).toThrow('images must be [*, *, *, 3], got [1, 8, 8, 1]');
  });
});

describe('decode', () => {
  it('refuses another number of channels', () => {
    expect(() => decode(params, tiny, tf.zeros([1, 4, 4, 3]))).toThrow('latents must be [*, *, *, 2]');
  });
});

describe('the training loss', () => {
  const loss = (tree: Vae) =>
    tf.tidy(() => {
      const posterior = encode(tree, tiny, images);
      const decoded = decode(tree, tiny, sampleLatent(posterior, randomKey(3)));
      const error = tf.mean(tf.squaredDifference(decoded, images));
      return tf.add(error, tf.mul(tf.mean(klDivergence(posterior)), 1e-2)) as tf.Scalar;
    });

  it('has the gradients that finite differences show, in every parameter', () => {
    const names = Object.keys(flattenTree<tf.Tensor>(params));
    const leaves = treeLeaves<tf.Tensor>(params);
    const at = (values: tf.Tensor[]) =>
      loss(unflattenTree(Object.fromEntries(names.map((name, i) => [name, values[i]]))) as unknown as Vae);
    tf.tidy(() => {
      const gradients = tf.grads((...values: tf.Tensor[]) => at(values))(leaves);
      for (const [index, gradient] of gradients.entries()) {
        // Along its own gradient, each parameter must change the loss by |gradient| per unit of length.
        const length = tf.norm(gradient).dataSync()[0];
        if (length === 0) continue;
        const step = tf.mul(gradient, 0.02 / length);
        const along = (sign: number) =>
          at(leaves.map((leaf, i) => (i === index ? tf.add(leaf, tf.mul(step, sign)) : leaf)));
        const slope = (along(1).dataSync()[0] - along(-1).dataSync()[0]) / 0.04;
        // The differences of losses near 1 carry rounding: 6e-8 a value, over a step of 0.04.
        expect(Math.abs(slope - length), `${names[index]}: ${slope} against ${length}`).toBeLessThan(
          0.02 * length + 1e-5,
        );
      }
      expect(gradients.filter((gradient) => tf.norm(gradient).dataSync()[0] > 1e-4).length).toBeGreaterThan(60);
    });
  });
});

const gaussian = (mean: number, variance: number, shape: [number, number, number, number]): Posterior => ({
  mean: tf.fill(shape, mean),
  logVariance: tf.fill(shape, Math.log(variance)),
});

describe('sampleLatent', () => {
  it('has the posterior’s mean and deviation', () => {
    const before = tf.memory().numTensors;
    const [mean, deviation] = tf.tidy(() => {
      const sample = sampleLatent(gaussian(3, 4, [2, 50, 50, 4]), randomKey(1));
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
      const both = sampleLatent(gaussian(0, 1, [2, 2, 2, 3]), tf.stack([first, second]));
      const swapped = sampleLatent(gaussian(0, 1, [2, 2, 2, 3]), tf.stack([second, first]));
      // Vectorized logarithms may round differently by place.
      expectClose(tf.reverse(swapped, 0).dataSync(), both.dataSync(), 1e-6);
    });
  });
});

describe('klDivergence', () => {
  it('is zero for the standard normal and positive elsewhere', () => {
    expect(klDivergence(gaussian(0, 1, [1, 2, 2, 3])).dataSync()[0]).toBeCloseTo(0, 6);
    expect(klDivergence(gaussian(1, 1, [1, 2, 2, 3])).dataSync()[0]).toBeCloseTo(6, 5); // 12 · ½
    expect(klDivergence(gaussian(0, 2, [1, 1, 1, 1])).dataSync()[0]).toBeCloseTo((2 - 1 - Math.log(2)) / 2, 6);
  });

  it('is the mean difference of log-densities under the posterior', () => {
    tf.tidy(() => {
      const shape: [number, number, number, number] = [1, 100, 100, 8];
      const [from, standard] = [gaussian(0.5, 0.3, shape), gaussian(0, 1, shape)];
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
