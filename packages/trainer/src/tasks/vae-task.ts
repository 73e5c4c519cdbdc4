import { imageGrid, type Pixels, squareImages, zoomTo } from '@tb/images';
import { psnr } from '@tb/metrics';
import { createQuantizer } from '@tb/quantizer';
import { disposeTree, drawKeys } from '@tb/runtime';
import { type Autoencoder, createAutoencoder, imagesToTensor, initVae, type Vae, type VaeConfig } from '@tb/vae';
import type * as tf from '@tensorflow/tfjs-core';
import { completeBatch, takeRows } from '../data/batch-share.js';
import type { ImageBatch } from '../data/image-batches.js';
import type { Task } from '../task.js';
import { calibrateVae, createLatentStatistics } from './calibrate-vae.js';
import { type VaeLossWeights, vaeLoss } from './vae-loss.js';

export type VaeTaskOptions = {
  config: VaeConfig;
  weights: VaeLossWeights;
  openBatches: Task<Vae, ImageBatch>['openBatches'];
  /** Images that training does not see. */
  heldOut: readonly ImageBatch[];
  /** The first eight of these are drawn above their reconstructions (default: the first of `heldOut`). */
  shown?: ImageBatch;
  size: number;
  /** Start from these parameters rather than from noise. */
  initial?: () => Promise<Vae>;
};

/** Levels at which validation quantizes: the paper's choice, and one that is visibly too coarse (Tab. 1). */
const validationLevels = [64, 8];

/** Makes the task of training the autoencoder. Validation reports PSNR, plain and through the quantizer, on held-out images. */
export function createVaeTask({
  config,
  weights,
  openBatches,
  heldOut,
  shown = heldOut[0],
  size,
  initial,
}: VaeTaskOptions): Task<Vae, ImageBatch> {
  const autoencoder = createAutoencoder(config, size);
  const task: Task<Vae, ImageBatch, { images: tf.Tensor4D; keys: tf.Tensor2D }> = {
    init: (key) => (initial ? initial() : initVae(key, config)),
    constants: {},
    loss: (params, _, { images, keys }) => vaeLoss(params, config, images, keys, weights),
    openBatches,
    toTensors: ({ images: pixels, labels }, random, share = completeBatch, images = labels.length) => ({
      images: imagesToTensor(pixels, labels.length, size),
      keys: takeRows(drawKeys(random, images), share, images),
    }),
  };
  if (heldOut.length > 0) task.validate = (ema) => validateVae(ema, config, heldOut, size, autoencoder);
  if (shown) task.draw = (ema) => drawReconstructions(ema, shown, size, autoencoder);
  return task;
}

/** PSNR in dB over all images, as they are and through the quantizer after calibration of each channel. */
async function validateVae(
  params: Vae,
  config: VaeConfig,
  batches: readonly ImageBatch[],
  size: number,
  autoencoder: Autoencoder,
): Promise<Record<string, number>> {
  const calibrated = calibrateVae(params, config, await measureLatents(params, config, batches, autoencoder));
  const restorers: Record<string, (latents: Float32Array) => Float32Array> = { psnr: (latents) => latents };
  for (const levels of validationLevels) restorers[`psnrAt${levels}`] = quantizedLatents(config, levels);
  const results: Record<string, number> = {};
  for (const [name, restore] of Object.entries(restorers)) {
    results[name] = await meanPsnr(calibrated, config, batches, size, autoencoder, restore);
  }
  disposeTree([calibrated.quant_conv, calibrated.post_quant_conv]);
  return results;
}

/** Measures the mean and deviation of each channel of the posterior means of some images. */
export async function measureLatents(
  params: Vae,
  config: VaeConfig,
  batches: readonly ImageBatch[],
  autoencoder: Autoencoder,
) {
  const statistics = createLatentStatistics(config.latentChannels);
  for (const { images } of batches) statistics.add(await autoencoder.encode(params, images));
  return statistics.finish();
}

/** A function that quantizes and restores latents at `levels` per channel, over the paper's range. */
export function quantizedLatents(config: VaeConfig, levels: number): (latents: Float32Array) => Float32Array {
  const quantizer = createQuantizer({ levels });
  return (latents) => {
    const normalized = latents.map((value) => value * config.latentScale);
    const restored = quantizer.dequantize(quantizer.quantize(normalized));
    return Float32Array.from(restored, (value) => value / config.latentScale);
  };
}

async function meanPsnr(
  params: Vae,
  config: VaeConfig,
  batches: readonly ImageBatch[],
  size: number,
  autoencoder: Autoencoder,
  restore: (latents: Float32Array) => Float32Array,
): Promise<number> {
  let sum = 0;
  let count = 0;
  for (const { images, labels } of batches) {
    const originals = squareImages(images, size);
    const restored = await reconstruct(params, config, images, labels.length, autoencoder, restore);
    for (const [index, image] of restored.entries()) {
      sum += Math.min(psnr(originals[index], image), 100);
      count++;
    }
  }
  return sum / count;
}

/** Encodes images, changes their latents, and decodes them. */
export async function reconstruct(
  params: Vae,
  config: VaeConfig,
  images: Uint8Array,
  count: number,
  autoencoder: Autoencoder,
  change: (latents: Float32Array) => Float32Array = (latents) => latents,
): Promise<Pixels[]> {
  const latents = change(await autoencoder.encode(params, images));
  const side = Math.sqrt(latents.length / (count * config.latentChannels));
  return autoencoder.decode(params, latents, [count, side, side, config.latentChannels]);
}

const shownWidth = 96;

/** Up to eight originals above their reconstructions. */
async function drawReconstructions(
  params: Vae,
  { images, labels }: ImageBatch,
  size: number,
  autoencoder: Autoencoder,
): Promise<Pixels> {
  const count = Math.min(8, labels.length);
  const shown = images.subarray(0, count * size * size * 3);
  const originals = squareImages(shown, size);
  const latents = await autoencoder.encode(params, shown);
  const channels = params.post_quant_conv.weight.shape[1]!;
  const side = Math.sqrt(latents.length / (count * channels));
  const restored = await autoencoder.decode(params, latents, [count, side, side, channels]);
  return imageGrid([...originals, ...restored], { columns: count, zoom: zoomTo(originals[0], shownWidth) });
}
