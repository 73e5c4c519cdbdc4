import { disposeTree, randomKey, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import { decode, demo, initVae, type Pixels, tensorToImages, type Vae, type VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from './generate.js';
import { createImageGenerator, type ImageGeneratorOptions, type ImageRequest } from './image-generator.js';
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
