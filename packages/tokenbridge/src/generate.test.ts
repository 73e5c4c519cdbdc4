import { disposeTree, mapTree, randomKey, tidyTree, uniform, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { goldenModel } from '../test/golden-model.js';
import { generate } from './generate.js';
import type { KnownTokens } from './known-tokens.js';
import { initTokenBridge, type TokenBridge, type TokenBridgeConfig } from './model.js';
import { presets } from './presets.js';
import { sampleTokens } from './reference-sampler.js';
import {
  type GenerateOptions,
  type GeneratePreview,
  type GenerateProgress,
  imageKeys,
  ordersOf,
  requestOf,
} from './sampling-request.js';

let model: { params: TokenBridge; config: TokenBridgeConfig };

beforeAll(async () => {
  await useBackend(testBackend);
  model = await goldenModel();
});

afterEach(() => vi.restoreAllMocks());

/** Generates and takes everything to the host. */
async function sample(options: Partial<GenerateOptions> & Pick<GenerateOptions, 'labels' | 'seeds'>) {
  const { tokens, latents, confidence, stepOfPosition } = await generate({ ...model, steps: 5, ...options });
  const host = { tokens: [...tokens.dataSync()], latents: [...latents.dataSync()], confidence, stepOfPosition };
  tf.dispose([tokens, latents]);
  return host;
}

describe.each(['cpu', 'wasm'] as const)('generate on %s draws the tokens of the reference sampler', (backend) => {
  const tiny: TokenBridgeConfig = {
    ...presets.tiny,
    latent: { height: 3, width: 3, channels: 4 },
    classes: 5,
    channelOrder: [2, 0, 3, 1],
    quantizer: { levels: 6, min: -5, max: 5, range: 3 },
    backbone: {
      bufferSize: 2,
      mlpRatio: 2,
      encoder: { width: 8, depth: 1, heads: 2 },
      decoder: { width: 12, depth: 1, heads: 3 },
    },
    head: { kind: 'autoregressive', groupSize: 1, width: 8, depth: 1, heads: 2, mlpRatio: 2 },
  };
  const heads: Record<string, Partial<TokenBridgeConfig['head']>> = {
    'one channel after another': {},
    'a parallel head': { kind: 'parallel' },
    'channels in groups of 2': { groupSize: 2 },
    'channels in groups of 4': { groupSize: 4 },
  };
  const runs: Record<string, Partial<GenerateOptions>> = {
    'without guidance': {},
    'with guidance, warm': { guidanceScale: 2.5, temperature: 1.3, steps: 4 },
    'with constant guidance': { guidanceScale: 2, guidanceSchedule: 'constant', steps: 3 },
    'row by row, the likeliest tokens': { order: 'raster', temperature: 0, steps: 9 },
    'the most confident first': { order: 'confidence', guidanceScale: 1.5, steps: 5 },
    'in static shapes': { guidanceScale: 2.5, steps: 5, staticShapes: true },
    'in more steps than positions': { steps: 20, firstPosition: 'training' },
  };
  const images = { labels: [1, null], seeds: [3, 99n], steps: 4 };
  /** Other positions of each image are known, as many in both. */
  const known = {
    tokens: Array.from({ length: 2 * 9 * 4 }, (_, i) => (i * 7) % 6),
    isKnown: [1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0],
  };
  const edits: Record<string, Partial<GenerateOptions>> = {
    'editing with guidance': { known, guidanceScale: 2.5, steps: 3 },
    'editing row by row': { known, order: 'raster', steps: 9 },
    'editing, the most confident first': { known, order: 'confidence', steps: 4, guidanceScale: 1.5 },
    'editing in static shapes': { known, guidanceScale: 2.5, staticShapes: true },
  };
  const showNothing = { every: 1, show: () => {} };

  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(testBackend));

  it.each(Object.keys(heads))('with %s', async (name) => {
    const config = { ...tiny, head: { ...tiny.head, ...heads[name] } };
    const params = randomModel(config);
    for (const [run, options] of Object.entries({ ...runs, ...edits })) {
      const request = requestOf({ params, config, ...images, ...options });
      const { orderKeys, noiseKeys } = imageKeys(images.seeds);
      const order = request.order === 'confidence' ? request.order : await ordersOf(request.order, orderKeys, request);
      const grids = request.known && gridsOf(request.known, 2, 4);
      const expected = sampleTokens({ ...request, params, noiseKeys, order, known: grids });
      const { tokens } = await sample({ params, config, ...images, ...options });
      expect(tokens, run).toEqual(expected.flat(2));
      const previewed = await sample({ params, config, ...images, ...options, preview: showNothing });
      expect(previewed.tokens, `${run}, with previews`).toEqual(tokens);
      tf.dispose([orderKeys, noiseKeys]);
    }
    disposeTree(params);
  });
});

/** Given tokens as the reference sampler takes them. */
function gridsOf({ tokens, isKnown }: KnownTokens, images: number, channels: number) {
  const positions = isKnown.length / images;
  const tokensOf = (position: number) => Array.from(tokens).slice(position * channels, (position + 1) * channels);
  return Array.from({ length: images }, (_, image) =>
    Array.from({ length: positions }, (_, place) => {
      const position = image * positions + place;
      return isKnown[position] ? tokensOf(position) : null;
    }),
  );
}

/** Random everywhere: zero modulations would hide mistakes. */
function randomModel(config: TokenBridgeConfig): TokenBridge {
  let leaves = 0;
  const random = ({ shape }: tf.Tensor) => tf.sub(uniform(randomKey(++leaves), shape), 0.5);
  return tidyTree(() => mapTree(random, initTokenBridge(randomKey(0), config)));
}

describe('generate', () => {
  it.each(['random', 'raster', 'confidence'] as const)(
    'makes the same image of a seed at any place of any batch, in %s order',
    async (order) => {
      // In bfloat16 batches of different sizes round otherwise.
      const options = { order, guidanceScale: 2, temperature: 1.5, precision: 'fp32' } as const;
      const alone = await sample({ ...options, labels: [1], seeds: [42] });
      const batch = await sample({ ...options, labels: [0, 2, 1], seeds: [7, 8n, 42] });
      const size = alone.tokens.length;
      expect(batch.tokens.slice(2 * size)).toEqual(alone.tokens);
      expect([...batch.stepOfPosition.slice(-alone.stepOfPosition.length)]).toEqual([...alone.stepOfPosition]);
      const padded = await sample({ ...options, labels: [1], seeds: [42], staticShapes: true });
      expect(padded.tokens).toEqual(alone.tokens);
      expect((await sample({ ...options, labels: [1], seeds: [43] })).tokens).not.toEqual(alone.tokens);
    },
  );

  it('fills a raster row by row', async () => {
    const { stepOfPosition } = await sample({ order: 'raster', labels: [0], seeds: [0] });
    expect([...stepOfPosition]).toEqual([...stepOfPosition].sort((a, b) => a - b));
    expect(new Set(stepOfPosition)).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  it('keeps the most confident of all masked positions in confidence order', async () => {
    const first = await sample({ order: 'confidence', labels: [3], seeds: [0], temperature: 0 });
    // With one step everything is predicted from nothing, as in the first step of the other run.
    const all = await sample({ order: 'confidence', labels: [3], seeds: [0], temperature: 0, steps: 1 });
    const kept = [...first.stepOfPosition.keys()].filter((position) => first.stepOfPosition[position] === 0);
    const best = [...all.confidence.keys()].sort((a, b) => all.confidence[b] - all.confidence[a]).slice(0, kept.length);
    expect(new Set(kept)).toEqual(new Set(best));
    for (const position of kept) expect(first.confidence[position]).toBeCloseTo(all.confidence[position], 5);
    for (const each of first.confidence) {
      expect(each).toBeGreaterThan(0);
      expect(each).toBeLessThanOrEqual(1);
    }
  });

  it('gives the same with more steps than positions as with one a position', async () => {
    const [enough, more] = [16, 40].map((steps) =>
      sample({ steps, labels: [1], seeds: [3], order: 'raster', temperature: 0 }),
    );
    expect((await more).tokens).toEqual((await enough).tokens);
  });

  it('ignores labels at scale 0, and differs with them', async () => {
    const run = (label: number | null, guidanceScale: number) =>
      sample({ labels: [label], seeds: [1], guidanceScale, temperature: 0 });
    const [unlabelled, free, labelled] = [await run(null, 1), await run(4, 0), await run(4, 1)];
    expect(free.tokens.length).toBe(unlabelled.tokens.length);
    const agreement = free.tokens.filter((token, index) => token === unlabelled.tokens[index]).length;
    expect(agreement).not.toBe(labelled.tokens.filter((token, index) => token === unlabelled.tokens[index]).length);
  });

  it('reports how many positions of all images are known, and stops when told', async () => {
    const seen: GenerateProgress[] = [];
    await sample({ labels: [0, 1], seeds: [0, 1], onProgress: (progress) => seen.push(progress) });
    expect(seen.map(({ known }) => known)).toEqual([2, 8, 14, 24, 32]);
    expect(new Set(seen.map(({ positions }) => positions))).toEqual(new Set([32]));

    const controller = new AbortController();
    const before = tf.memory().numTensors;
    const stopped = sample({
      labels: [0],
      seeds: [0],
      signal: controller.signal,
      onProgress: ({ known }) => known >= 4 && controller.abort(new Error('enough')),
    });
    await expect(stopped).rejects.toThrow('enough');
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each(['random', 'confidence'] as const)('shows what is known after some steps, in %s order', async (order) => {
    const before = tf.memory().numTensors;
    const previews: (GeneratePreview & { values: number[] })[] = [];
    const show = async (preview: GeneratePreview) => {
      previews.push({ ...preview, values: [...(await preview.latents.data())] });
    };
    const request = { order, labels: [1, 2], seeds: [5, 6], steps: 7, temperature: 1.2 };
    const result = await sample({ ...request, preview: { every: 2, show } });
    expect(tf.memory().numTensors).toBe(before);
    expect(previews.map(({ step, steps }) => [step, steps])).toEqual([[2, 7], [4, 7], [6, 7]]); // biome-ignore format: a list
    for (const { step, isKnown, values, confidence, stepOfPosition, latents } of previews) {
      const { height, width, channels } = model.config.latent;
      expect(latents.shape).toEqual([2, height, width, channels]);
      const wasFilled = Array.from(result.stepOfPosition, (filledAt) => filledAt < step);
      expect(Array.from(isKnown, Boolean)).toEqual(wasFilled);
      expect([...stepOfPosition]).toEqual(Array.from(result.stepOfPosition, (at, i) => (wasFilled[i] ? at : -1)));
      expect([...confidence]).toEqual(Array.from(result.confidence, (value, i) => (wasFilled[i] ? value : 0)));
      const isFilled = (index: number) => wasFilled[Math.floor(index / channels)];
      expect(values.map(Math.abs)).toEqual(result.latents.map((value, i) => (isFilled(i) ? Math.abs(value) : 0)));
    }
  });

  it('stops when a preview fails or aborts, and frees everything', async () => {
    const before = tf.memory().numTensors;
    const request = { labels: [1], seeds: [5], steps: 8 };
    for (const order of ['random', 'confidence'] as const) {
      const show = () => Promise.reject(new Error('nobody looks'));
      await expect(sample({ ...request, order, preview: { every: 1, show } })).rejects.toThrow('nobody looks');
      const controller = new AbortController();
      const abort = { every: 3, show: () => controller.abort(new Error('enough')) };
      const stopped = sample({ ...request, order, preview: abort, signal: controller.signal });
      await expect(stopped).rejects.toThrow('enough');
      expect(tf.memory().numTensors).toBe(before);
    }
  });

  it('keeps given tokens and fills the others', async () => {
    const { tokens: start } = await sample({ labels: [2], seeds: [11] });
    const isKnown = Array.from({ length: 16 }, (_, position) => position % 3 === 0);
    const { channels } = model.config.latent;
    const seen: GenerateProgress[] = [];
    const edited = await sample({
      labels: [7],
      seeds: [12],
      steps: 4,
      known: { tokens: start, isKnown },
      onProgress: (progress) => seen.push(progress),
    });
    const isKept = (index: number) => isKnown[Math.floor(index / channels)];
    expect(edited.tokens.filter((_, i) => isKept(i))).toEqual(start.filter((_, i) => isKept(i)));
    expect(edited.tokens).not.toEqual(start);
    expect(Array.from(edited.stepOfPosition, (step) => step === -1)).toEqual(isKnown);
    expect(Math.max(...edited.stepOfPosition)).toBe(3);
    expect(Array.from(edited.confidence).filter((_, position) => isKnown[position])).toEqual(Array(6).fill(1));
    expect(seen.map(({ known }) => known)).toEqual([7, 9, 13, 16]);
  });

  it.each(['raster', 'confidence'] as const)('frees everything when the backend fails in %s order', async (order) => {
    const kernels = tf.engine();
    const runKernel = kernels.runKernel.bind(kernels);
    let operations = 0;
    const failAt = (count: number) => {
      operations = 0;
      vi.spyOn(kernels, 'runKernel').mockImplementation(((...args: Parameters<typeof runKernel>) => {
        operations += 1;
        if (operations === count) throw new Error('out of order');
        return runKernel(...args);
      }) as typeof runKernel);
    };
    const preview = { every: 1, show: () => {} };
    const options = { order, labels: [1], seeds: [1], steps: 2, guidanceScale: 2, preview };
    await sample(options); // a backend that records functions runs fewer operations from now on
    failAt(Number.POSITIVE_INFINITY);
    await sample(options);
    const all = operations;
    const before = tf.memory().numTensors;
    const parts = 24;
    for (let part = 0; part < parts; part++) {
      failAt(all - Math.floor((part * all) / parts)); // the last one too
      await expect(sample(options)).rejects.toThrow('out of order');
      expect(tf.memory().numTensors).toBe(before);
    }
  });

  it.each([
    ['labels', { labels: [10], seeds: [0] }, 'labels must be null or in [0, 10), got 10'],
    ['seeds', { labels: [1, 2], seeds: [0] }, 'seeds must be 2, one per label, got 1'],
    ['steps', { labels: [1], seeds: [0], steps: 0 }, 'steps must be a positive integer, got 0'],
    ['temperature', { labels: [1], seeds: [0], temperature: -1 }, 'temperature must be 0 or positive, got -1'],
    [
      'order',
      { labels: [1], seeds: [0], order: [[0, 0]] },
      'order must hold a permutation of 0 … 15 for each of 1 images',
    ],
    [
      'previews',
      { labels: [1], seeds: [0], preview: { every: 0, show: () => {} } },
      'preview.every must be a positive',
    ],
    [
      'known tokens',
      { labels: [1], seeds: [0], known: { tokens: [], isKnown: [1] } },
      'isKnown must hold 16 positions',
    ],
    [
      'images without masked positions',
      { labels: [1], seeds: [0], known: { tokens: Array(256).fill(0), isKnown: Array(16).fill(1) } },
      'must leave as many positions masked in every image, at least 1, got 16 known',
    ],
    [
      'given tokens',
      { labels: [1], seeds: [0], known: { tokens: Array(256).fill(64), isKnown: [1, ...Array(15).fill(0)] } },
      'tokens must be integers in [0, 16), got 64',
    ],
    [
      'name of an order',
      { labels: [1], seeds: [0], order: 'snake' as 'raster' },
      "'confidence' or a list for each image",
    ],
  ])('names wrong %s and leaves nothing behind', async (_, options, message) => {
    const before = tf.memory().numTensors;
    await expect(sample(options)).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('samples a model of one class', async () => {
    const config: TokenBridgeConfig = { ...model.config, classes: 1 };
    const params = initTokenBridge(randomKey(2), config);
    const { tokens } = await sample({ params, config, labels: [0, null], seeds: [1, 2], guidanceScale: 2 });
    expect(tokens).toHaveLength(2 * 16 * config.latent.channels);
    disposeTree(params);
  });

  it.each([
    ['parallel', { kind: 'parallel', groupSize: 1 }],
    ['in groups of 2', { kind: 'autoregressive', groupSize: 2 }],
    ['in groups of 4', { kind: 'autoregressive', groupSize: 4 }],
  ] as const)('samples with a head %s', async (_, head) => {
    const { config } = model;
    const quantizer = { levels: 4, min: -5, max: 5, range: 3 };
    const variant: TokenBridgeConfig = { ...config, quantizer, head: { ...config.head, ...head } };
    const params = initTokenBridge(randomKey(2), variant);
    const { tokens } = await sample({ params, config: variant, labels: [0, 1], seeds: [1, 2], guidanceScale: 1.5 });
    expect(new Set(tokens)).toEqual(new Set([0, 1, 2, 3]));
    tf.dispose(params as never);
  });
});
