import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, parse } from 'node:path';
import { centreCrop, decodeImage, encodePng, imageGrid, type Pixels } from '@tb/images';
import { createProgressLine } from '@tb/metrics';
import { disposeTree, mapTree } from '@tb/runtime';
import {
  classNamesOf,
  createModelTask,
  createRunLog,
  encodedImages,
  type LoadedModel,
  type LoadedVae,
  type LogRecord,
  quantizedLatents,
  type ReportPicture,
  readRecords,
  reconstruct,
  train,
} from '@tb/trainer';
import { createAutoencoder } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { batchesOf, openData } from '../data/open-data.js';
import { generateImages, type LabelledPictures } from '../evaluation/generated-images.js';
import type { DemoValues } from '../options/tables.js';

export type DemoWeights = { vae: LoadedVae; model: LoadedModel; photographs: string };

const size = 64;

/** How the demo's weights saw the photographs. */
export const cropData = (photographs: string, seed: number) => ({
  data: photographs,
  crops: true,
  imageSize: size,
  cropScaleMin: 0.35,
  cropScaleMax: 0.7,
  heldOut: 0.25,
  threads: 1,
  seed,
});

/** The middle of every photograph: as it is, through the autoencoder, and with its latents quantized. */
export async function drawReconstructions({ vae, photographs }: DemoWeights): Promise<ReportPicture> {
  const { training } = await openData(cropData(photographs, 0));
  const paths = training.classNames.map((_, label) => training.requestOf(label, 0).path);
  const originals = await Promise.all(paths.map(async (path) => centreCrop(await decodeImage(path), size)));
  const bytes = new Uint8Array(originals.length * size * size * 3);
  for (const [index, { data }] of originals.entries()) bytes.set(data, index * data.length);
  const autoencoder = createAutoencoder(vae.config, size);
  const rows: Pixels[] = [...originals];
  for (const change of [undefined, quantizedLatents(vae.config, 64), quantizedLatents(vae.config, 8)]) {
    rows.push(...(await reconstruct(vae.params, vae.config, bytes, originals.length, autoencoder, change)));
  }
  const captions = paths.map((path) => parse(path).name);
  const grid = imageGrid(rows, { columns: originals.length, captions, zoom: 2 });
  const title = 'Photographs: original, autoencoder, 64 levels, 8 levels (from top to bottom)';
  return { title, png: await encodePng(grid) };
}

/** Far apart, so that the pictures of neighbouring seeds have none in common. */
const seedStride = 1000;

/** New pictures from number `first` on, the classes in turn; as many at once as there are classes. */
export async function generatePictures(
  { vae, model }: DemoWeights,
  { seed, numIter, cfg }: DemoValues,
  first: number,
  count: number,
): Promise<LabelledPictures> {
  const line = createProgressLine(process.stderr);
  return generateImages(vae, model, {
    first,
    count,
    firstSeed: seed! * seedStride,
    numIter: numIter!,
    cfg: cfg!,
    batch: model.config.classes,
    onProgress: (done, total) => line.show('  generated', done, total),
  });
}

/** New pictures side by side, each under its class. */
export async function drawGenerated(
  { images, labels, size: side }: LabelledPictures,
  names: readonly string[],
): Promise<ReportPicture> {
  const length = side * side * 3;
  const pictures = Array.from(labels, (_, i) => ({
    width: side,
    height: side,
    data: images.subarray(i * length, (i + 1) * length),
  }));
  const captions = Array.from(labels, (label) => names[label]);
  return { title: 'Generated', png: await encodePng(imageGrid(pictures, { columns: 5, captions, zoom: 2 })) };
}

/** A short training run that starts from the demo's weights. @returns its log */
export async function fineTune(weights: DemoWeights, steps: number): Promise<LogRecord[]> {
  const out = await mkdtemp(join(tmpdir(), 'tb-train-demo-'));
  try {
    await trainALittle(weights, out, steps);
    return readRecords(join(out, 'log.jsonl'));
  } finally {
    await rm(out, { recursive: true });
  }
}

async function trainALittle({ vae, model, photographs }: DemoWeights, out: string, steps: number): Promise<void> {
  const seed = Date.now() % 1e6; // crops that no run has seen
  const values = { ...cropData(photographs, seed), batch: 4 };
  const { training } = await openData(values);
  const log = createRunLog({ out, title: 'Fine-tuning', config: values, terminal: process.stderr });
  const task = createModelTask({
    config: model.config,
    latents: encodedImages(vae.params, vae.config, size),
    latentScale: vae.config.latentScale,
    openBatches: batchesOf(training, values, log.badImage),
    heldOut: [],
    classNames: classNamesOf(model),
    initial: async () => mapTree((leaf) => tf.mul(leaf, 1), model.params),
  });
  const { state } = await train(
    task,
    {
      out,
      steps,
      seed,
      schedule: { kind: 'constant', peak: 1e-5, minimum: 0, warmup: 0, total: steps },
      adamw: { betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0.02 },
      clipNorm: 1,
      emaRate: 0.99,
      resume: false,
      checkpointEvery: steps,
      keepCheckpoints: 1,
      validateEvery: steps + 1,
      drawEvery: steps + 1,
      nanRetries: 0,
      lossDelay: 0,
      config: values,
    },
    log,
  );
  disposeTree(state);
}
