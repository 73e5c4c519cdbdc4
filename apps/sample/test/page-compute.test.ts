import { decodeImage, encodePng, readPngSettings, withPngSettings } from '@tb/images';
import { useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import { createImageGenerator } from '@tb/tokenbridge';
import { createAutoencoder, type Pixels } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { seedOf } from '../src/commands/generate/jobs.js';
import { compareVariants } from '../src/commands/reconstruct/compare.js';
import { imageSimilarity } from '../src/images.js';
import { type ComputeOptions, createPageCompute, type PageCompute } from '../src/page/compute.js';
import { decodeTokens } from '../src/page/maps.js';
import type { FinishedImage, JobEvent, JobPreview, Reconstruction } from '../src/page/messages.js';
import { classNames, makeTinyWeights } from './tiny-weights.js';

let weights: ReturnType<typeof makeTinyWeights>;
let options: ComputeOptions;
let compute: PageCompute;
let tensors: number;

beforeAll(async () => {
  await useBackend(testBackend);
  weights = makeTinyWeights();
  options = {
    model: weights.model,
    vae: weights.vae,
    classNames,
    batchSize: 2,
    encodePng,
    encodeFinished: async (image, settings, identity) =>
      withPngSettings(await encodePng(image), { ...settings, ...identity, seed: String(identity.seed) }),
    seedOf,
    similarity: imageSimilarity,
  };
  tensors = tf.memory().numTensors;
  compute = createPageCompute(options);
});
afterAll(() => {
  compute.dispose();
  expect(tf.memory().numTensors).toBe(tensors);
  weights.free();
});

const settings = {
  guidance: 2,
  guidanceSchedule: 'linear',
  temperature: 1,
  steps: 4,
  order: 'random',
  seed: 7,
  previewEvery: 2,
} as const;

type Run = (context: Parameters<PageCompute['generate']>[1]) => Promise<void>;

async function eventsOf(run: Run): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  await run({ emit: (event) => events.push(event), signal: new AbortController().signal });
  return events;
}
const imagesOf = (events: JobEvent[]) => events.filter((event): event is FinishedImage => event.type === 'image');
const square: Pixels = { width: 16, height: 16, data: Uint8Array.from({ length: 768 }, (_, i) => (i * 31) % 256) };

it('generates the images of tb-sample generate, and shows how they fill', async () => {
  const events = await eventsOf((context) => compute.generate({ ...settings, classes: [2, 0], count: 2 }, context));
  const images = imagesOf(events);
  expect(images.map(({ label, index }) => [label, index])).toEqual([
    [2, 0],
    [0, 1],
    [2, 2],
    [0, 3],
  ]);
  const generator = createImageGenerator({ ...options, steps: 4, guidanceScale: 2, temperature: 1 });
  const labels = [2, 0, 2, 0];
  const seeds = labels.map((label, place) => seedOf(7, label, Math.floor(place / 2)));
  for await (const { first, images: expected, details } of generator.generate({ labels, seeds }))
    for (const [place, image] of expected.entries()) {
      const event = images[first + place];
      const png = Buffer.from(event.image.png, 'base64');
      expect(await decodeImage(png)).toEqual(image);
      expect([...decodeTokens(event.tokens)]).toEqual([...details[place].tokens!]);
      expect(event.seed).toBe(String(seeds[first + place]));
      expect(readPngSettings(png)).toMatchObject({ cfg: 2, numIter: 4, name: classNames[event.label!] });
    }
  generator.dispose();
  expect(images[0].file).toBe('class-0002-000000.png');
  const previews = events.filter((event): event is JobPreview => event.type === 'preview');
  expect(previews.map(({ step, images: shown }) => [step, shown.map(({ index }) => index)])).toEqual([
    [2, [0, 1]],
    [2, [2, 3]],
  ]);
  const [{ stepOfPosition, confidence }] = previews[0].images;
  expect(stepOfPosition).toEqual(images[0].stepOfPosition.map((step) => (step < 2 ? step : -1)));
  expect(confidence.every((value, position) => (value === 0) === (stepOfPosition[position] === -1))).toBe(true);
  expect(events.filter(({ type }) => type === 'progress').at(-1)).toEqual({
    type: 'progress',
    known: 64,
    positions: 64,
  });
});

it('edits generated and uploaded images, and keeps what is not masked', async () => {
  const [{ tokens }] = imagesOf(
    await eventsOf((context) => compute.generate({ ...settings, classes: [1], count: 1 }, context)),
  );
  const mask = Array.from({ length: 16 }, (_, position) => (position < 6 ? 1 : 0));
  const edit = { ...settings, mask, label: null, count: 2 };
  for (const source of [{ tokens }, { image: 'an id' }]) {
    const images = imagesOf(await eventsOf((context) => compute.edit({ ...edit, source }, square, context)));
    expect(images).toHaveLength(2);
    for (const image of images) {
      expect(image.label).toBeNull();
      expect(image.stepOfPosition.map((step) => step === -2)).toEqual(mask.map((strength) => strength === 0));
      const kept = decodeTokens(image.tokens).slice(24);
      if ('tokens' in source) expect(kept).toEqual(decodeTokens(tokens).slice(24));
      expect(image.file).toMatch(/^class-none-00000\d-edited\.png$/);
    }
    expect(images[0].tokens).not.toBe(images[1].tokens);
  }
  const wrong = { tokens: Buffer.alloc(128, 255).toString('base64') };
  await expect(eventsOf((context) => compute.edit({ ...edit, source: wrong }, undefined, context))).rejects.toThrow(
    'must be tokens of this model',
  );
});

it('reconstructs with the figures of tb-sample reconstruct', async () => {
  const request = { image: 'an id', levels: 8, range: 2 };
  const events = await eventsOf((context) => compute.reconstruct(request, square, context));
  const { type, autoencoder, quantized, outOfRange, channels } = events[0] as Reconstruction;
  expect(type).toBe('reconstruction');
  const fitted = { image: square, left: 0, top: 0, width: 16, height: 16 };
  const { params, config } = options.vae;
  const variants = [{}, { levels: 8, range: 2 }];
  const [alone, coarse] = await compareVariants(fitted, variants, createAutoencoder(config, 16), params, config);
  expect([autoencoder.psnr, autoencoder.ssim]).toEqual([alone.psnr, alone.ssim]);
  expect([quantized.psnr, quantized.ssim, outOfRange]).toEqual([coarse.psnr, coarse.ssim, coarse.outOfRange]);
  expect(channels).toHaveLength(4);
  for (const { counts } of channels) expect(counts.reduce((sum, count) => sum + count)).toBe(16);
  expect(channels.reduce((sum, channel) => sum + channel.outOfRange, 0) / 4).toBeCloseTo(outOfRange, 6);
});

it('states what the page needs to know', () => {
  expect(compute.facts).toMatchObject({
    image: { width: 16, height: 16 },
    grid: { height: 4, width: 4, channels: 4 },
    quantizer: { levels: 8, range: 5 },
    presets: [{ name: 'recommended', settings: { steps: 4, guidance: 3 } }, { name: 'faster' }],
  });
});
