import { channelLogits } from '@tb/ar-head';
import type { HostTensor } from '@tb/io';
import { useBackend } from '@tb/runtime';
import { expectClose, goldenJson, goldenTensors, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { goldenModel, rowOf, tensorOf } from '../test/golden-model.js';
import { generate } from './generate.js';
import { channelHeadConfig } from './model.js';

const { runs } = goldenJson('tokenbridge', 'sampling.json');
let golden: Record<string, HostTensor>;
let models: Record<'model' | 'model_ema', Awaited<ReturnType<typeof goldenModel>>>;

beforeAll(async () => {
  await useBackend(testBackend);
  golden = await goldenTensors('tokenbridge', 'sampling.safetensors');
  models = { model: await goldenModel(), model_ema: await goldenModel({ ema: true }) };
});

const modelOf = (run: { weights: string }) => models[run.weights.startsWith('model_ema') ? 'model_ema' : 'model'];

describe.each(Object.keys(runs))('sampling run %s', (name) => {
  const run = runs[name];

  it.each([
    ['exact', false],
    ['static', true],
  ])('gives the reference’s tokens, with %s shapes', async (_, staticShapes) => {
    const [images, positions] = golden.orders.shape;
    const before = tf.memory().numTensors;
    const orders = Array.from({ length: images }, (_, i) => rowOf(golden.orders.data as Int32Array, i, positions));
    const result = await generate({
      ...modelOf(run),
      labels: run.labels ?? orders.map(() => null),
      seeds: orders.map((_, i) => i),
      steps: run.num_iter,
      guidanceScale: run.cfg,
      guidanceSchedule: run.cfg_schedule === 'linear' ? 'linear' : 'constant', // so the reference reads any other name
      temperature: run.temperature,
      order: orders,
      staticShapes,
      precision: 'fp32', // in bfloat16 near ties fall otherwise
    });
    expect([...result.tokens.dataSync()]).toEqual([...(golden[`${name}.tokens`].data as Int32Array)]);
    expect([...result.stepOfPosition]).toEqual([...(golden[`${name}.step_of_position`].data as Int32Array)]);
    const latents = tf.tidy(() => tf.transpose(result.latents, [0, 3, 1, 2]).dataSync());
    expectClose(latents, golden[`${name}.latents`].data as Float32Array, 1e-6, 'latents');
    tf.dispose([result.tokens, result.latents]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

it('gives the logits that the reference samples from', async () => {
  const detail = await goldenTensors('tokenbridge', 'sampling_detail.safetensors');
  const names = Object.keys(runs).filter((name) => `${name}.logits` in detail);
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    const { params, config } = modelOf(runs[name]);
    const {
      features,
      logits,
      tokens_ar_order: tokens,
    } = Object.fromEntries(['features', 'logits', 'tokens_ar_order'].map((key) => [key, detail[`${name}.${key}`]]));
    const rows = (tensor: HostTensor) => {
      const grouped = tensorOf(tensor);
      return tf.reshape(grouped, [-1, grouped.shape[2]!]) as tf.Tensor2D;
    };
    const head = { ...channelHeadConfig(config), channelOrder: undefined }; // the golden tokens are in the head's order
    const ours = tf.tidy(() =>
      channelLogits(params, head, rows(features), rows(tokens), { firstPosition: 'sampling' }),
    );
    expectClose(await ours.data(), logits.data as Float32Array, 1e-4, name);
    ours.dispose();
  }
});
