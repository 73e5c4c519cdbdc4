import type { HostTensor } from '@tb/io';
import { useBackend } from '@tb/runtime';
import { expectClose, goldenJson, goldenTensors, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { goldenModel, rowOf } from '../test/golden-model.js';
import { generate } from './generate.js';

const { runs } = goldenJson('tokenbridge', 'sampling.json');
let golden: Record<string, HostTensor>;
let models: Record<'model' | 'model_ema', Awaited<ReturnType<typeof goldenModel>>>;

beforeAll(async () => {
  await useBackend(testBackend);
  golden = await goldenTensors('tokenbridge', 'sampling.safetensors');
  models = { model: await goldenModel(), model_ema: await goldenModel({ ema: true }) };
});

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
      ...models[run.weights.startsWith('model_ema') ? 'model_ema' : 'model'],
      labels: run.labels ?? orders.map(() => null),
      seeds: orders.map((_, i) => i),
      numIter: run.num_iter,
      cfg: run.cfg,
      cfgSchedule: run.cfg_schedule === 'linear' ? 'linear' : 'constant', // so the reference reads any other name
      temperature: run.temperature,
      order: orders,
      staticShapes,
    });
    expect([...result.tokens.dataSync()]).toEqual([...(golden[`${name}.tokens`].data as Int32Array)]);
    expect([...result.stepOfPosition]).toEqual([...(golden[`${name}.step_of_position`].data as Int32Array)]);
    const latents = tf.tidy(() => tf.transpose(result.latents, [0, 3, 1, 2]).dataSync());
    expectClose(latents, golden[`${name}.latents`].data as Float32Array, 1e-6, 'latents');
    tf.dispose([result.tokens, result.latents]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
