import { loadParameters } from '@tb/nn';
import { disposeTree, flattenTree, unflattenTree, useBackend } from '@tb/runtime';
import { expectClose, type GoldenTensor, goldenJson, goldenTensors, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DiffusionHeadConfig } from './config.js';
import { type DiffusionHead, diffusionHeadShapes } from './diffusion-head.js';
import { diffusionLoss } from './loss.js';
import { conditionOnFeatures, denoise } from './sample.js';
import { type NoiseSchedule, noiseSchedule } from './schedule.js';

const { head, sampling_cases: cases } = goldenJson('mar', 'config.json');
const config: DiffusionHeadConfig = {
  channels: head.channels,
  featureWidth: head.z,
  width: head.width,
  depth: head.depth,
};
let params: DiffusionHead;

beforeAll(async () => {
  await useBackend(testBackend);
  const tensors = await goldenTensors('mar', 'head.safetensors');
  params = loadParameters<DiffusionHead>(diffusionHeadShapes(config), tensors);
});

const tensorOf = <T extends tf.Tensor>({ dtype, data, shape }: GoldenTensor) =>
  tf.tensor(data as Int32Array, shape, dtype === 'I32' ? 'int32' : 'float32') as T;
const valuesOf = (tensor: GoldenTensor) => tensor.data as Float32Array;

describe('noiseSchedule', () => {
  const golden = goldenJson('mar', 'schedule.json');
  const samplingSteps = Number(golden.steps);

  it('visits the reference’s timesteps', () => {
    expect(noiseSchedule(samplingSteps).timesteps).toEqual(golden.timestep_map);
  });

  it.each([
    ['train', 1000],
    ['sampling', samplingSteps],
  ])('has the reference’s tables of %s', (name, steps) => {
    const ours = noiseSchedule(steps);
    const expectTable = (table: keyof NoiseSchedule, expected: readonly number[]) =>
      expectClose(ours[table] as Float64Array, expected, 1e-12, table);
    const tables: Record<string, number[]> = golden[name];
    expectTable('signal', tables.alphas_cumprod.map(Math.sqrt));
    expectTable('leastLogVariance', tables.posterior_log_variance_clipped);
    expectTable('largestLogVariance', tables.betas.map(Math.log));
    expectTable('meanOfValue', tables.posterior_mean_coef1);
    expectTable('meanOfNoisy', tables.posterior_mean_coef2);
  });
});

describe('diffusionLoss', () => {
  it('has the reference’s terms and gradients', async () => {
    const golden = await goldenTensors('mar', 'loss.safetensors');
    const before = tf.memory().numTensors;
    const inputs = {
      values: tensorOf<tf.Tensor2D>(golden.target),
      timesteps: tensorOf<tf.Tensor1D>(golden.t),
      noise: tensorOf<tf.Tensor2D>(golden.noise),
    };
    const features = tensorOf<tf.Tensor2D>(golden.z);
    const terms = diffusionLoss(params, { ...inputs, features });
    expectClose(terms.squaredError.dataSync(), valuesOf(golden.mse), 1e-4, 'mse');
    expectClose(terms.variationalBound.dataSync(), valuesOf(golden.vb), 1e-4, 'vb');
    expectClose(terms.loss.dataSync(), valuesOf(golden.loss), 1e-4, 'loss');

    const leaves = { ...flattenTree<tf.Tensor>(params as never), z: features };
    const names = Object.keys(leaves);
    const mask = tensorOf<tf.Tensor1D>(golden.mask);
    for (const rematerialize of [false, true]) {
      const maskedLoss = (...tensors: tf.Tensor[]) => {
        const { z, ...weights } = Object.fromEntries(names.map((name, index) => [name, tensors[index]]));
        const tree = unflattenTree<tf.Tensor>(weights) as unknown as DiffusionHead;
        const { loss } = diffusionLoss(tree, { ...inputs, features: z as tf.Tensor2D }, { rematerialize });
        return tf.div(tf.sum(tf.mul(loss, mask)), tf.sum(mask)) as tf.Scalar;
      };
      const { value, grads } = tf.valueAndGrads(maskedLoss)(Object.values(leaves));
      expectClose(value.dataSync(), valuesOf(golden.masked_loss), 1e-4, 'masked loss');
      for (const [index, name] of names.entries())
        expectClose(grads[index].dataSync(), valuesOf(golden[`gradient.${name}`]), 1e-3, name);
      tf.dispose([value, grads]);
    }
    disposeTree([inputs, features, terms, mask]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe.each<{ case: number; cfg: number; temperature: number }>(cases)('sampling case $case', (settings) => {
  it('has the reference’s values after every step', async () => {
    const golden = await goldenTensors('mar', 'sampling.safetensors');
    const of = (name: string) => tensorOf(golden[`${settings.case}.${name}`]);
    const before = tf.memory().numTensors;
    const [steps, rows, channels] = golden[`${settings.case}.states`].shape;
    const isGuided = settings.cfg !== 1;
    const used = isGuided ? rows / 2 : rows; // the other half repeats the values without a use
    const given = of('noise');
    const expected = of('states');
    const half = (all: tf.Tensor, index: number) =>
      tf.tidy(() => tf.reshape<tf.Rank.R2>(tf.slice(all, [index, 0, 0], [1, used, channels]), [used, channels]));
    const features = of('z') as tf.Tensor2D;
    const condition = conditionOnFeatures(params, features, steps);
    let state = { values: of('start') as tf.Tensor2D, remaining: tf.scalar(steps, 'int32') };
    for (let done = 0; done < steps; done++) {
      const noise = half(given, done);
      const next = denoise(params, state, condition, {
        steps,
        count: 1,
        temperature: settings.temperature,
        guidanceScale: isGuided ? settings.cfg : undefined,
        noise: () => noise,
      });
      disposeTree(state);
      state = next;
      const reference = half(expected, done);
      expectClose(state.values.dataSync(), reference.dataSync(), 1e-4, `step ${done}`);
      tf.dispose([noise, reference]);
    }
    tf.dispose([given, expected, features]);
    disposeTree([state, condition]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
