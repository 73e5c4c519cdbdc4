import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flattenShapes } from '@tb/nn';
import { disposeTree, drawKeys, flattenTree, hostRandom, mapTree, randomKey, uniform, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadImageModel, loadTokenBridge, saveTokenBridge } from './files.js';
import { generate } from './generate.js';
import { drawTrainingMasks, evaluate, loss } from './loss.js';
import { assertTokenBridgeConfig, initTokenBridge, type Mar, type MarConfig, tokenBridgeShapes } from './model.js';
import { configOfShapes } from './official.js';
import { configFromMar, type MarArguments } from './official-mar.js';
import { marPresets, presets, recommendedSampling } from './presets.js';
import { sampleTokens } from './reference-sampler.js';
import { type GenerateOptions, imageKeys, ordersOf, requestOf } from './sampling-request.js';

const config: MarConfig = {
  ...marPresets.tiny,
  latent: { height: 3, width: 3, channels: 4 },
  classes: 5,
  backbone: {
    bufferSize: 2,
    mlpRatio: 2,
    encoder: { width: 8, depth: 1, heads: 2 },
    decoder: { width: 12, depth: 1, heads: 3 },
  },
  head: { kind: 'diffusion', width: 8, depth: 2, timestepsPerPosition: 3 },
};
let params: Mar;

beforeAll(async () => {
  await useBackend(testBackend);
  const initial = initTokenBridge(randomKey(1), config);
  let next = 0; // random everywhere: a new head predicts no noise
  params = mapTree(({ shape }: tf.Tensor) => tf.sub(uniform(randomKey(next++), shape), 0.5), initial as never) as never;
  disposeTree(initial);
});

describe('generate', () => {
  const runs: Record<string, Partial<GenerateOptions<MarConfig>>> = {
    'without guidance': {},
    'with guidance, cool': { guidanceScale: 2.5, temperature: 0.8, steps: 4 },
    'with constant guidance, row by row': { guidanceScale: 2, guidanceSchedule: 'constant', order: 'raster' },
    'with padded lists': { guidanceScale: 2.5, staticShapes: true },
    'in a number of denoising steps that is prime': { denoisingSteps: 7 },
  };

  it.each(Object.entries(runs))('%s gives the values of the reference sampler', async (_, run) => {
    const before = tf.memory().numTensors;
    const options = { steps: 3, denoisingSteps: 6, precision: 'fp32' as const, ...run };
    const asked = { params, config, labels: [2, null], seeds: [5, 6], ...options };
    const { tokens, latents, confidence } = await generate(asked);
    expect(tf.memory().numTensors).toBe(before + 1);
    expect(tokens).toBeNull();
    expect([...confidence].every(Number.isNaN)).toBe(true);
    const request = requestOf(asked);
    const { orderKeys, noiseKeys } = imageKeys([5, 6]);
    const order = await ordersOf(request.order as 'random', orderKeys, request);
    const grids = sampleTokens({ ...request, params, noiseKeys, order, known: undefined });
    expectClose(latents.dataSync(), (grids as number[][][]).flat(2), 1e-4);
  });

  it('refuses what needs tokens or probabilities', async () => {
    const asked = { params, config, labels: [0], seeds: [1] };
    await expect(generate({ ...asked, order: 'confidence' })).rejects.toThrow("order must not be 'confidence' for MAR");
    const known = { tokens: new Int32Array(36), isKnown: new Int32Array(9) };
    await expect(generate({ ...asked, known })).rejects.toThrow('known must be left out for MAR');
    await expect(generate({ ...asked, denoisingSteps: 1 })).rejects.toThrow(
      'denoisingSteps must be an integer in [2, 1000]',
    );
  });
});

describe('loss', () => {
  const inputsFor = (granularity?: number) => {
    const random = hostRandom(3, 1);
    return {
      latents: uniform(randomKey(9), [2, 3, 3, 4]) as tf.Tensor4D,
      labels: tf.tensor1d([1, 4], 'int32'),
      masks: drawTrainingMasks(random, config, 2, granularity),
      noiseKeys: drawKeys(random, 2),
    };
  };

  it('is the sum of its terms, and does not change with padding', () => {
    const [exact, padded] = [1, 9].map((granularity) => evaluate(params, config, inputsFor(granularity)));
    const [value, error, bound] = [exact.loss, exact.squaredError, exact.variationalBound].map((x) => x.dataSync()[0]);
    expect(value).toBeCloseTo(error + bound, 4);
    expectClose(padded.loss.dataSync(), exact.loss.dataSync(), 1e-5);
    expectClose(loss(params, config, inputsFor(1)).dataSync(), exact.loss.dataSync(), 1e-6);
  });

  it('needs keys for its noise, and the parameters of its kind', () => {
    const { noiseKeys, ...inputs } = inputsFor();
    expect(() => loss(params, config, inputs)).toThrow('noiseKeys must be given');
    expect(() => loss(params, presets.tiny, { ...inputs, noiseKeys })).toThrow('those of another kind');
  });
});

describe('configurations', () => {
  it.each(['base', 'large', 'huge'] as const)('recognizes mar_%s by its shapes', (size) => {
    expect(configOfShapes(flattenShapes(tokenBridgeShapes(marPresets[size])))).toEqual(marPresets[size]);
  });

  it('recommends what MAR is evaluated with', () => {
    const guidance = (['base', 'large', 'huge'] as const).map((size) => recommendedSampling(marPresets[size]));
    expect(guidance.map(({ guidanceScale }) => guidanceScale)).toEqual([2.9, 3, 3.2]);
    expect(recommendedSampling(marPresets.tiny)).toEqual({ steps: 16, guidanceScale: 3, temperature: 1 });
  });

  it('refuses sizes that no model can have, and arguments that are missing', () => {
    const head = { ...config.head, timestepsPerPosition: 0 };
    expect(() => assertTokenBridgeConfig({ ...config, head })).toThrow('head.timestepsPerPosition must be a positive');
    expect(() => configFromMar({ img_size: 256 } as MarArguments)).toThrow(
      /arguments must be numbers: vae_stride, .*diffloss_w/,
    );
  });
});

describe('files', () => {
  it('reads what it wrote, as a model of its kind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mar-'));
    const path = join(folder, 'model.safetensors');
    try {
      await saveTokenBridge(path, { params, config });
      const loaded = await loadImageModel(path);
      expect(loaded.config).toEqual(config);
      const expected = flattenTree<tf.Tensor>(params as never);
      for (const [name, leaf] of Object.entries(flattenTree<tf.Tensor>(loaded.params as never)))
        expect(leaf.dataSync(), name).toEqual(expected[name].dataSync());
      await expect(loadTokenBridge(path)).rejects.toThrow('holds a model of MAR, which has a diffusion head');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
