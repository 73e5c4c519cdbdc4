import { join } from 'node:path';
import { UsageError } from '@tb/command-line';
import { startEngine } from '@tb/command-line/compute';
import { flattenShapes } from '@tb/nn';
import { loadTokenBridge, presets, saveTokenBridge, type TokenBridgeConfig, tokenBridgeShapes } from '@tb/tokenbridge';
import {
  cachedMoments,
  createModelTask,
  createRunLog,
  describeWeights,
  encodedImages,
  type ImageBatch,
  type LatentBatch,
  type LatentCache,
  loadVaeFile,
  type ModelTaskOptions,
  openLatentBatches,
  openLatentCache,
  type RunLog,
  readHeldOutLatents,
} from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { findInitialWeights } from '../data/initial-weights.js';
import { latentSize } from '../data/latent-size.js';
import { batchesOf, openData, readSome, validationBatch } from '../data/open-data.js';
import { assertOneStart, assertPicturesFit, assertSettledByCache } from '../options/conflicts.js';
import { modelPresets } from '../options/defaults.js';
import { type ModelValues, modelOptions } from '../options/tables.js';
import { prepareRunFolder, type ResolvedRun, resolveRun, storedConfig } from './run-folder.js';
import { trainOptionsOf } from './run-options.js';
import { runTraining } from './run-training.js';

/** What differs between training on pictures and on a cache. */
type Source<Batch extends { labels: Int32Array }> = {
  task: Omit<ModelTaskOptions<Batch>, 'config' | 'initial' | 'rematerialize'>;
  samples: number;
  latent: TokenBridgeConfig['latent'];
  imageSize: number;
  vaeSha256: string;
};

type Run = ResolvedRun<ModelValues, (typeof modelPresets)[keyof typeof modelPresets]>;

/** `tb-train model` with the flags that were given. */
export async function trainModel(flags: ModelValues): Promise<void> {
  const defaults = (preset = 'tiny') => modelPresets[preset as keyof typeof modelPresets] ?? modelPresets.tiny;
  const { values, given } = await resolveRun('model', modelOptions, flags, defaults);
  assertOneStart(given);
  const { out } = values;
  await prepareRunFolder(out, values.resume);
  const initial = values.resume ? undefined : await findInitialWeights(values.initial, 'model');
  const cache = values.cache === undefined ? undefined : await openLatentCache(values.cache);
  if (cache) {
    assertSettledByCache(cache.imageSize, given);
    values.imageSize = cache.imageSize;
  } else {
    assertPicturesFit(values, given);
  }
  const log = createRunLog({ out, title: `TokenBridge ${values.preset}`, config: values, terminal: process.stderr });
  if (cache) await trainOn(await fromCache(cache, values), values, log, initial);
  else await trainOn(await fromImages(values, log), values, log, initial);
}

async function fromImages(values: Run, log: RunLog): Promise<Source<ImageBatch>> {
  const data = await openData(values);
  await startEngine(values);
  const vae = await loadVaeFile(values.vae);
  const { threads, validationImages } = values;
  return {
    task: {
      latents: encodedImages(vae.params, vae.config, data.training.size),
      latentScale: vae.config.latentScale,
      openBatches: batchesOf(data.training, values, log.badImage),
      heldOut: data.validation ? await readSome(data.validation, validationImages, threads) : [],
      decoder: { vae: vae.params, config: vae.config },
      classNames: data.training.classNames,
    },
    samples: data.training.length,
    latent: latentSize(data.training.size, vae.config),
    imageSize: data.training.size,
    vaeSha256: vae.sha256,
  };
}

async function fromCache(cache: LatentCache, values: Run): Promise<Source<LatentBatch>> {
  await startEngine(values);
  const vae = values.vae === undefined ? undefined : await loadVaeFile(values.vae);
  if (vae && vae.sha256 !== cache.vaeSha256) {
    throw new UsageError(`--vae ${values.vae} is not the autoencoder that the cache ${values.cache} was made with`);
  }
  const { batch, seed, flip, validationImages } = values;
  const [height, width, channels] = cache.latentShape;
  return {
    task: {
      latents: cachedMoments(cache.latentShape),
      latentScale: cache.latentScale,
      openBatches: (firstStep) => openLatentBatches(cache, { batchSize: batch, seed, firstStep, flip }),
      heldOut: await readHeldOutLatents(cache, validationImages, validationBatch),
      decoder: vae && { vae: vae.params, config: vae.config },
      classNames: cache.classNames,
    },
    samples: cache.length,
    latent: { height, width, channels },
    imageSize: cache.imageSize,
    vaeSha256: cache.vaeSha256,
  };
}

/** @param initial - file of the weights to start from */
async function trainOn<Batch extends { labels: Int32Array }>(
  source: Source<Batch>,
  values: Run,
  log: RunLog,
  initial: string | undefined,
): Promise<void> {
  const config = configOf(values, source.latent, source.task.classNames.length);
  const task = createModelTask({
    ...source.task,
    config,
    rematerialize: values.rematerialize,
    maskGranularity: values.maskGranularity,
    initial: initial === undefined ? undefined : async () => (await loadTokenBridge(initial, { config })).params,
  });
  const { imageSize, vaeSha256 } = source;
  const classNames = [...source.task.classNames];
  const metadata = describeWeights({ modelConfig: config, imageSize, vaeSha256, classNames });
  const shapes = flattenShapes(tokenBridgeShapes(config));
  const options = {
    ...trainOptionsOf(values, source.samples, tf.getBackend(), storedConfig('model', values)),
    metadata,
    shapes,
  };
  await runTraining(task, options, log, async ({ ema }) => {
    const path = join(values.out, 'model.safetensors');
    await saveTokenBridge(path, { params: ema, config }, { dtype: values.half ? 'F16' : 'F32', metadata });
    return [`model: ${path}`];
  });
}

/** The preset, fitted to the data's latents and classes. Where these have other channels than the preset's, they come in their own order. */
function configOf(
  { preset, dropout, labelDropout, levels }: Run,
  latent: TokenBridgeConfig['latent'],
  classes: number,
): TokenBridgeConfig {
  const { channelOrder, quantizer, training, ...sizes }: TokenBridgeConfig = presets[preset];
  const hasOrder = channelOrder.length === latent.channels;
  return {
    ...sizes,
    latent,
    classes,
    channelOrder: hasOrder ? channelOrder : Array.from({ length: latent.channels }, (_, channel) => channel),
    quantizer: { ...quantizer, levels },
    training: { ...training, attentionDropout: dropout, projectionDropout: dropout, labelDropout },
  };
}
