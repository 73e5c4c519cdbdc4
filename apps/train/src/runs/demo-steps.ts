import { rm } from 'node:fs/promises';
import { parse } from 'node:path';
import type { LoadedVae } from '@tb/command-line/compute';
import { mapTree } from '@tb/runtime';
import { generate } from '@tb/tokenbridge';
import {
  centreCrop,
  createAutoencoder,
  createDecoder,
  createModelTask,
  createRunLog,
  decodeImage,
  disposeState,
  encodedImages,
  encodePng,
  imageGrid,
  type Pixels,
  quantizedLatents,
  reconstruct,
  tensorToImages,
  train,
} from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import type { LoadedModel } from '../data/load-model.js';
import { batchesOf, openData } from '../data/open-data.js';

export type DemoWeights = { vae: LoadedVae; model: LoadedModel; photographs: string };
export type DemoPicture = { title: string; png: Uint8Array };

const size = 64;

const cropData = (photographs: string, seed: number) => ({
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
export async function drawReconstructions({ vae, photographs }: DemoWeights): Promise<DemoPicture> {
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

/** One picture of each class. */
export async function drawGenerated(
  { vae, model }: DemoWeights,
  seed: number,
  numIter: number,
  cfg: number,
): Promise<DemoPicture> {
  const { params, config, classNames } = model;
  const labels = classNames.map((_, label) => label);
  const seeds = labels.map((label) => seed * 1000 + label);
  const started = Date.now();
  const result = await generate({
    params,
    config,
    labels,
    seeds,
    numIter,
    cfg,
    onProgress: ({ step }) => process.stderr.write(`\r  step ${step + 1}/${numIter}`),
  });
  const latents = tf.div(result.latents, vae.config.latentScale) as tf.Tensor4D;
  const images = createDecoder(vae.config)(vae.params, latents);
  const pictures = await tensorToImages(images);
  tf.dispose([result.tokens, result.latents, latents, images]);
  process.stderr.write(`\r  ${pictures.length} pictures in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
  return {
    title: 'Generated',
    png: await encodePng(imageGrid(pictures, { columns: 5, captions: classNames, zoom: 2 })),
  };
}

/** A short training run that starts from the demo's weights. */
export async function fineTune({ vae, model, photographs }: DemoWeights, out: string, steps: number): Promise<void> {
  await rm(out, { recursive: true, force: true });
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
    classNames: model.classNames,
    initial: async () => mapTree(model.params as never, (leaf: tf.Tensor) => tf.mul(leaf, 1)) as never,
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
  disposeState(state);
}
