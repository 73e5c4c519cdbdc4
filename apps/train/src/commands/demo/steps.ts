import { parse } from 'node:path';
import { createProgressLine, resolve } from '@tb/command-line';
import { centreCrop, decodeImage, encodePng, imageGrid, type Pixels, squareImages } from '@tb/images';
import { type LoadedModel, type LoadedVae, quantizedLatents, type ReportImage } from '@tb/trainer';
import { createAutoencoder } from '@tb/vae';
import { latentSize, openData } from '../../data.js';
import { generateImages, type LabelledImages } from '../../evaluation/generated-images.js';
import { imageOptions } from '../../options/images.js';
import { demoSeedStride } from '../../seeds.js';
import type { DemoValues } from './options.js';

export type DemoWeights = { vae: LoadedVae; model: LoadedModel; photographs: string };

const size = 64;

/** The demo does not report what it found: it always has the same photographs. */
export const silent = () => {};

/** The crops that the demo's weights were trained on. */
export const cropData = (photographs: string, seed: number) => ({
  ...resolve(imageOptions, {
    data: photographs,
    crops: true,
    imageSize: size,
    cropScaleMin: 0.35,
    cropScaleMax: 0.7,
    heldOut: 0.25,
    threads: 1,
  }),
  seed,
});

/** Draws the middle of every photograph: the original, and what the autoencoder makes of it without and with quantization. */
export async function drawReconstructions({ vae, photographs }: DemoWeights): Promise<ReportImage> {
  const { training } = await openData(cropData(photographs, 0), silent);
  const paths = training.classNames.map((_, label) => training.requestOf(label, 0).path);
  const originals = await Promise.all(paths.map(async (path) => centreCrop(await decodeImage(path), size)));
  const bytes = new Uint8Array(originals.length * size * size * 3);
  for (const [index, { data }] of originals.entries()) bytes.set(data, index * data.length);
  const autoencoder = createAutoencoder(vae.config, size);
  const latents = await autoencoder.encode(vae.params, bytes);
  const { height, width, channels } = latentSize(size, vae.config);
  const rows: Pixels[] = [...originals];
  const line = createProgressLine();
  for (const levels of [undefined, 64, 8]) {
    line.show(rows.length - originals.length, 3 * originals.length, '  reconstructed');
    const values = levels === undefined ? latents : quantizedLatents(vae.config, levels)(latents);
    rows.push(...(await autoencoder.decode(vae.params, values, [originals.length, height, width, channels])));
  }
  line.end();
  const captions = paths.map((path) => parse(path).name);
  const rowLabels = ['original', 'autoencoder', '64 levels', '8 levels'];
  const grid = imageGrid(rows, { columns: originals.length, captions, rowLabels, zoom: 2 });
  const title = 'Photographs, reconstructed by the autoencoder without quantization, with 64 levels and with 8 levels';
  return { title, png: await encodePng(grid) };
}

/**
 * Generates images from number `first` on, as many at once as there are classes.
 *
 * @param label - class of all images; by default each class in turn
 */
export async function generateNumbered(
  { vae, model }: DemoWeights,
  { seed, numIter, cfg }: DemoValues,
  first: number,
  count: number,
  label?: number,
): Promise<LabelledImages> {
  const line = createProgressLine();
  try {
    return await generateImages(vae, model, {
      first,
      count,
      label,
      firstSeed: seed * demoSeedStride,
      numIter,
      cfg,
      batch: Math.min(count, model.config.classes),
      onProgress: (done, total) => line.show(done, total, '  generated'),
    });
  } finally {
    line.end();
  }
}

/** Draws images side by side, each under the name of its class. */
export async function drawGenerated(
  { images, labels, size: side }: LabelledImages,
  names: readonly string[],
): Promise<ReportImage> {
  const shown = squareImages(images, side);
  const captions = Array.from(labels, (label) => names[label]);
  return {
    title: 'Generated, one image of each class',
    png: await encodePng(imageGrid(shown, { columns: 5, captions, zoom: 2 })),
  };
}
