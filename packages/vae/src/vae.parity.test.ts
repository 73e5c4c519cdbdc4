import { applyConv2d, countParameters, flattenShapes } from '@tb/nn';
import { disposeTree, flattenTree, useBackend } from '@tb/runtime';
import { expectClose, goldenJson, goldenPath, goldenTensors, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { channelsFirst, goldenConfig, tensorOf } from '../test/golden.js';
import type { Stage } from './blocks.js';
import { loadVae } from './files.js';
import {
  decode,
  decoderStages,
  encode,
  encoderStages,
  klDivergence,
  negativeLogLikelihood,
  type Posterior,
  posteriorOf,
  type Vae,
  vaeShapes,
} from './vae.js';

const config = goldenConfig();
const tolerance = 1e-4;
let params: Vae;
let io: Awaited<ReturnType<typeof goldenTensors>>;

beforeAll(async () => {
  await useBackend(testBackend);
  params = await loadVae(goldenPath('vae', 'vae.pth'), config);
  io = await goldenTensors('vae', 'io.safetensors');
});
afterAll(() => disposeTree(params));

describe('weights', () => {
  const { state_dict_names_and_shapes: official, num_params: count } = goldenJson('vae', 'config.json');

  it('have the official names and shapes, and no others', () => {
    expect(Object.fromEntries(Object.entries(flattenShapes(vaeShapes(config))))).toEqual(official);
    expect(countParameters(params)).toBe(count);
  });

  it('are the same from .pth and .safetensors, value for value', async () => {
    const other = await loadVae(goldenPath('vae', 'vae.safetensors'), config);
    const file = await goldenTensors('vae', 'vae.safetensors');
    const [left, right] = [flattenTree<tf.Tensor>(params), flattenTree<tf.Tensor>(other)];
    for (const name of Object.keys(official)) {
      const values = file[name].data as Float32Array;
      expectClose(left[name].dataSync(), values, 0, name);
      expectClose(right[name].dataSync(), values, 0, name);
    }
    disposeTree(other);
  });
});

describe('encode and decode', () => {
  it('gives the reference’s mean and log-variance', () => {
    const before = tf.memory().numTensors;
    const images = tensorOf<tf.Tensor4D>(io.image);
    const { mean, logVariance } = encode(params, config, images);
    expectClose(channelsFirst(mean), io.mean.data as Float32Array, tolerance, 'mean');
    expectClose(channelsFirst(logVariance), io.logvar.data as Float32Array, tolerance, 'logvar');
    expectClose(klDivergence({ mean, logVariance }).dataSync(), io.kl.data as Float32Array, tolerance, 'kl');
    tf.dispose([images, mean, logVariance]);
    expect(tf.memory().numTensors).toBe(before + 1); // the divergence
  });

  it('gives the reference’s image of the mean', () => {
    const latents = tensorOf<tf.Tensor4D>(io.mean);
    const before = tf.memory().numTensors;
    const images = decode(params, config, latents);
    expect(tf.memory().numTensors).toBe(before + 1);
    expectClose(channelsFirst(images), io.decode_of_mean.data as Float32Array, tolerance);
  });

  it('gives the reference’s image of encoding and decoding', () => {
    const image = tf.tidy(() => decode(params, config, encode(params, config, tensorOf(io.image)).mean));
    expectClose(channelsFirst(image), io.decode_of_mean.data as Float32Array, tolerance);
  });
});

describe('activations', () => {
  type Statistics = Record<
    string,
    { shape: number[]; mean: number; std: number; absmax: number; at_flat_index: Record<string, number> }
  >;
  const statistics: { encode: Statistics; decode_of_mean: Statistics } = goldenJson('vae', 'activation_stats.json');

  /** Compares every stage's output with what the golden set has of it. @returns the number of compared stages */
  async function compare(stages: Iterable<Stage>, input: tf.Tensor4D, prefix: string, expected: Statistics) {
    const complete = await goldenTensors('vae', 'activations.safetensors');
    let compared = 0;
    let x = input;
    for (const stage of stages) {
      const name = `${prefix}.${stage.name}`;
      const next = stage.apply(x);
      x.dispose();
      x = next;
      const values = channelsFirst(x);
      if (name in complete) expectClose(values, complete[name].data as Float32Array, tolerance, name);
      const { shape, absmax, at_flat_index: samples } = expected[name];
      expect(values.length, name).toBe(shape.reduce((product, size) => product * size, 1));
      for (const [index, value] of Object.entries(samples)) {
        expect(Math.abs(values[Number(index)] - value) / absmax, `${name}[${index}]`).toBeLessThan(tolerance);
      }
      compared++;
    }
    x.dispose();
    return compared;
  }

  it('are the reference’s after every stage of the encoder', async () => {
    const stages = encoderStages(params.encoder, config.normGroups);
    const compared = await compare(stages, tensorOf(io.image), 'encoder', statistics.encode);
    expect(compared).toBeGreaterThan(config.channelMultipliers.length * config.residualBlocks);
  });

  it('are the reference’s after every stage of the decoder', async () => {
    const latents = tf.tidy(() => applyConv2d(params.post_quant_conv, tensorOf(io.mean)));
    const stages = decoderStages(params.decoder, config.normGroups);
    const compared = await compare(stages, latents, 'decoder', statistics.decode_of_mean);
    expect(compared).toBeGreaterThan(config.channelMultipliers.length * (config.residualBlocks + 1));
  });
});

describe('the posterior', () => {
  it('clamps extreme log-variances as the reference does', async () => {
    tf.tidy(() => {
      const { mean, logVariance } = posteriorOf(tensorOf(io['unit_gaussian.parameters']));
      expectClose(channelsFirst(mean), io['unit_gaussian.mean'].data as Float32Array, 0);
      expectClose(channelsFirst(logVariance), io['unit_gaussian.logvar'].data as Float32Array, 0);
      const posterior: Posterior = { mean, logVariance };
      const sample = tensorOf<tf.Tensor4D>(io['unit_gaussian.sample_for_nll']);
      expectClose(klDivergence(posterior).dataSync(), io['unit_gaussian.kl'].data as Float32Array, tolerance);
      expectClose(
        negativeLogLikelihood(posterior, sample).dataSync(),
        io['unit_gaussian.nll'].data as Float32Array,
        tolerance,
      );
    });
  });
});
