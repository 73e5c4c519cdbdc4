import { createQuantizer } from '@tb/quantizer';
import { disposeTree, randomKey, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import {
  createAutoencoder,
  decode,
  demo,
  initVae,
  type Pixels,
  tensorToImages,
  type Vae,
  type VaeConfig,
} from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from './generate.js';
import {
  createImageGenerator,
  type GeneratedImages,
  type ImageGeneratorOptions,
  type ImageRequest,
  type ImagesPreview,
} from './image-generator.js';
import { initTokenBridge, type TokenBridge, type TokenBridgeConfig } from './model.js';
import { presets, recommendedSampling } from './presets.js';
import type { GenerateProgress } from './sampling-request.js';

const small = { width: 16, depth: 1, heads: 2 };
const config: TokenBridgeConfig = {
  ...presets.tiny,
  latent: { height: 2, width: 3, channels: 4 },
  channelOrder: [3, 1, 0, 2],
  backbone: { ...presets.tiny.backbone, encoder: small, decoder: small },
  head: { ...presets.tiny.head, ...small },
};
const vaeConfig: VaeConfig = { ...demo, channels: 4, channelMultipliers: [1, 1], latentChannels: 4, normGroups: 2 };
let model: { params: TokenBridge; config: TokenBridgeConfig };
let vae: { params: Vae; config: VaeConfig };
const request = { labels: [3, null, 0, 3, 9], seeds: [1, 2n, 3, 1, 5] };

beforeAll(async () => {
  await useBackend(testBackend);
  model = { params: initTokenBridge(randomKey(1), config), config };
  vae = { params: initVae(randomKey(2), vaeConfig), config: vaeConfig };
});
afterAll(() => disposeTree([model.params, vae.params]));

async function imagesOf(options: Partial<ImageGeneratorOptions> = {}, asked: ImageRequest = request) {
  const generator = createImageGenerator({ model, vae, precision: 'fp32', ...options });
  const images: Pixels[] = [];
  const starts: number[] = [];
  try {
    for await (const batch of generator.generate(asked)) {
      starts.push(batch.first);
      images.push(...batch.images);
    }
  } finally {
    generator.dispose();
  }
  return { images, starts };
}

describe('createImageGenerator', () => {
  it('decodes the latents that generate samples with the recommended settings', async () => {
    const { images } = await imagesOf({ batchSize: 1 }, { labels: [3], seeds: [1] });
    const { tokens, latents } = await generate({
      ...model,
      precision: 'fp32',
      labels: [3],
      seeds: [1],
      ...recommendedSampling(config),
    });
    const decoded = tf.tidy(() => decode(vae.params, vaeConfig, tf.div(latents, vaeConfig.latentScale)));
    expect(images).toEqual(await tensorToImages(decoded));
    expect([images[0].width, images[0].height]).toEqual([6, 4]);
    tf.dispose([tokens, latents, decoded]);
  });

  it('makes the same image of a seed and a label in batches of any size, and leaves no tensors behind', async () => {
    const before = tf.memory().numTensors;
    const [pairs, together] = [await imagesOf({ batchSize: 2 }), await imagesOf({ precision: 'bf16' })];
    expect(tf.memory().numTensors).toBe(before);
    expect(pairs.starts).toEqual([0, 2, 4]);
    expect(together.starts).toEqual([0]);
    expect(pairs.images).toHaveLength(5);
    expect(pairs.images[3]).toEqual(pairs.images[0]);
    expect(pairs.images[2]).not.toEqual(pairs.images[0]);
    if (testBackend !== 'xla') expect(together.images).toEqual(pairs.images);
  });

  it('counts the known positions of all images', async () => {
    const seen: GenerateProgress[] = [];
    await imagesOf({ batchSize: 2, steps: 3 }, { ...request, onProgress: (progress) => seen.push(progress) });
    expect(new Set(seen.map(({ positions }) => positions))).toEqual(new Set([30]));
    expect(seen.map(({ known }) => known)).toEqual([2, 6, 12, 14, 18, 24, 25, 27, 30]);
  });

  it('shows and describes images while and after they fill, in batches of any size', async () => {
    const before = tf.memory().numTensors;
    for (const batchSize of [1, 2, 5]) {
      const generator = createImageGenerator({ model, vae, precision: 'fp32', batchSize, steps: 3 });
      const previews: ImagesPreview[] = [];
      const batches: GeneratedImages[] = [];
      const preview = { every: 1, show: (shown: ImagesPreview) => void previews.push(shown) };
      for await (const batch of generator.generate({ ...request, preview })) batches.push(batch);
      generator.dispose();
      expect(batches.flatMap(({ details }) => details).map(({ tokens }) => tokens?.length)).toEqual(Array(5).fill(24));
      const last = Math.floor(4 / batchSize) * batchSize;
      expect(previews.filter(({ first }) => first === last).map(({ step }) => step)).toEqual([1, 2]);
      for (const { first, step, images, details } of previews) {
        const batch = batches.find((batch) => batch.first === first)!;
        expect(images).toHaveLength(batch.images.length);
        for (const [image, { isKnown, stepOfPosition, confidence }] of details.entries()) {
          const filledAt = batch.details[image].stepOfPosition;
          expect(Array.from(isKnown, Boolean)).toEqual(Array.from(filledAt, (at) => at < step));
          expect(Array.from(stepOfPosition)).toEqual(Array.from(filledAt, (at) => (at < step ? at : -1)));
          expect(Array.from(confidence, (value) => value > 0)).toEqual(Array.from(isKnown, Boolean));
        }
        expect([images[0].width, images[0].height]).toEqual([6, 4]);
      }
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('keeps given tokens in all images of a request, and makes tokens of an image', async () => {
    const squareConfig = { ...config, latent: { height: 2, width: 2, channels: 4 } };
    const square = { params: initTokenBridge(randomKey(1), squareConfig), config: squareConfig };
    const before = tf.memory().numTensors;
    const generator = createImageGenerator({ model: square, vae, precision: 'fp32', batchSize: 2, steps: 2 });
    const image: Pixels = { width: 4, height: 4, data: Uint8Array.from({ length: 48 }, (_, i) => (i * 37) % 256) };
    const tokens = await generator.tokensOf(image);
    const latents = await createAutoencoder(vaeConfig, 4).encode(vae.params, image.data);
    const { levels, min, max } = config.quantizer as { levels: number; min: number; max: number };
    const scaled = latents.map((value) => value * vaeConfig.latentScale);
    const expected = createQuantizer({ levels, min, max, range: config.quantizer.range }).quantize(scaled);
    expect([...tokens]).toEqual([...expected]);

    const isKnown = [1, 0, 0, 1];
    for await (const { details } of generator.generate({ ...request, known: { tokens, isKnown } }))
      for (const { tokens: edited, stepOfPosition } of details) {
        expect(edited?.slice(0, 4)).toEqual(tokens.slice(0, 4));
        expect(edited?.slice(12)).toEqual(tokens.slice(12));
        expect(Array.from(stepOfPosition, (step) => step >= 0)).toEqual([false, true, true, false]);
      }
    await expect(generator.tokensOf({ ...image, height: 2 })).rejects.toThrow('must have 4 × 4 pixels and be square');
    generator.dispose();
    expect(tf.memory().numTensors).toBe(before);
    disposeTree(square.params);
  });

  it('stops when told, and leaves no tensors behind', async () => {
    const before = tf.memory().numTensors;
    const controller = new AbortController();
    const onProgress = ({ known }: GenerateProgress) => known > 12 && controller.abort(new Error('enough'));
    const stopped = imagesOf({ batchSize: 2 }, { ...request, onProgress, signal: controller.signal });
    await expect(stopped).rejects.toThrow('enough');
    expect(tf.memory().numTensors).toBe(before);
  });

  it('names what does not fit', async () => {
    const other = { ...vae, config: { ...vaeConfig, latentChannels: 8 } };
    expect(() => createImageGenerator({ model, vae: other })).toThrow('vae must make latents of 4 channels, got 8');
    expect(() => createImageGenerator({ model, vae, batchSize: 0 })).toThrow('batchSize must be a positive integer');
    await expect(imagesOf({}, { labels: [1], seeds: [] })).rejects.toThrow('seeds must be 1, one per label, got 0');
    await expect(imagesOf({ steps: 0 })).rejects.toThrow('steps must be a positive integer, got 0');
  });
});

describe('recommendedSampling', () => {
  it('is Tab. 4 for the paper’s sizes, and by the grid for others', () => {
    expect(recommendedSampling(presets.large)).toEqual({ steps: 256, guidanceScale: 3.1, temperature: 0.97 });
    expect(recommendedSampling({ ...presets.huge, classes: 7 })).toMatchObject({
      guidanceScale: 3.45,
      temperature: 0.91,
    });
    expect(recommendedSampling(presets.tiny)).toEqual({ steps: 16, guidanceScale: 3, temperature: 1 });
  });
});
