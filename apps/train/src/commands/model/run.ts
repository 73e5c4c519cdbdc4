import { UsageError } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { flattenShapes } from '@tb/nn';
import { loadTokenBridge, presets, saveTokenBridge, type TokenBridgeConfig, tokenBridgeShapes } from '@tb/tokenbridge';
import {
  cachedMoments,
  createModelTask,
  createRunLog,
  describeImages,
  describeWeights,
  encodedImages,
  findVae,
  finishedWeightsOf,
  type ImageBatch,
  type LatentBatch,
  type LatentCache,
  loadVaeFile,
  type ModelTaskOptions,
  openLatentBatches,
  openLatentCache,
  type RunLog,
  readHeldOutLatents,
  type TrainOptions,
} from '@tb/trainer';
import { batchesOf, latentSize, openData, readSome, scaleLatents, validationBatch } from '../../data.js';
import { storedOptions } from '../../options/training.js';
import { assertSameData, findInitialWeights, sameDataCheck } from '../../starting-weights.js';
import { prepareRunFolder, runTraining } from '../../training.js';
import { assertSizeOfCache, type ModelValues } from './options.js';

/**
 * Runs `tb-train model`.
 *
 * @param requestedSize - side of the images that the user set; that of a cache must be equal
 */
export async function trainModel(values: ModelValues, requestedSize?: number): Promise<void> {
  await prepareRunFolder(values);
  const initial = await findInitialWeights(values, 'model');
  const cache = values.cache === undefined ? undefined : await openLatentCache(values.cache);
  if (cache) assertSizeOfCache(cache.imageSize, requestedSize);

  const stored = storedOptions('model', { ...values, ...(cache && { imageSize: cache.imageSize }) });
  const title = `TokenBridge ${values.preset}`;
  const log = createRunLog({ out: values.out, title, config: stored, terminal: process.stderr });
  const run = { values, stored, log, initial };
  try {
    if (cache) await trainOn(await openCached(cache, values), run);
    else await trainOn(await openImages(values, log), run);
  } finally {
    await cache?.close();
  }
}

/** What differs between training on images and on a cache. */
type ModelData<Batch extends { labels: Int32Array }> = {
  task: Omit<ModelTaskOptions<Batch>, 'config' | 'initial' | 'rematerialize'>;
  samples: number;
  /** Number and names of the images, for the checkpoints. */
  data: TrainOptions['data'];
  latent: TokenBridgeConfig['latent'];
  imageSize: number;
  vaeSha256: string;
};

/** Opens images, which are encoded again for each batch. */
async function openImages(values: ModelValues, log: RunLog): Promise<ModelData<ImageBatch>> {
  const { folder, training, validation } = await openData(values);
  log.found(training.summary);
  const vaeFile = findVae(values.vae); // what is missing is reported before a backend is loaded
  await startBackend(values);
  const vae = await scaleLatents(await loadVaeFile(vaeFile), training, values);
  return {
    task: {
      latents: encodedImages(vae.params, vae.config, training.size),
      latentScale: vae.config.latentScale,
      openBatches: batchesOf(training, values, log.badImage),
      heldOut: validation ? await readSome(validation, values.validationImages, values.threads) : [],
      decoder: vae,
      classNames: training.classNames,
    },
    samples: training.length,
    data: describeImages(training, folder),
    latent: latentSize(training.size, vae.config),
    imageSize: training.size,
    vaeSha256: vae.sha256,
  };
}

/** Opens the batches of a cache. The autoencoder is needed only for sample images. */
async function openCached(cache: LatentCache, values: ModelValues): Promise<ModelData<LatentBatch>> {
  const vaeFile = values.vae === undefined ? undefined : findVae(values.vae);
  await startBackend(values);
  const vae = vaeFile === undefined ? undefined : await loadVaeFile(vaeFile);
  if (vae && vae.sha256 !== cache.vaeSha256 && !values.anyVae) {
    throw new UsageError(
      `--vae ${values.vae} is not the autoencoder that the cache ${values.cache} was made with: its SHA-256 begins with ` +
        `${vae.sha256.slice(0, 12)}, and should with ${cache.vaeSha256.slice(0, 12)}; --any-vae draws with it all the same`,
    );
  }
  const { batch, seed, flip, validationImages } = values;
  const [height, width, channels] = cache.latentShape;
  return {
    task: {
      latents: cachedMoments(cache.latentShape),
      latentScale: cache.latentScale,
      openBatches: (firstStep) => openLatentBatches(cache, { batchSize: batch, seed, firstStep, flip }),
      heldOut: await readHeldOutLatents(cache, validationImages, validationBatch),
      decoder: vae,
      classNames: cache.classNames,
    },
    samples: cache.length,
    data: { images: cache.length },
    latent: { height, width, channels },
    imageSize: cache.imageSize,
    vaeSha256: cache.vaeSha256,
  };
}

type ModelRun = {
  values: ModelValues;
  /** The options that checkpoints store. */
  stored: Record<string, unknown>;
  log: RunLog;
  /** File of the weights to start from. */
  initial: string | undefined;
};

async function trainOn<Batch extends { labels: Int32Array }>(
  source: ModelData<Batch>,
  { values, stored: asked, log, initial }: ModelRun,
): Promise<void> {
  const { imageSize, vaeSha256, data } = source;
  const { latentScale } = source.task;
  const classNames = [...source.task.classNames];
  const now = { imageSize, vaeSha256, latentScale, classNames, ...data };
  await assertSameData(initial, now, values);
  const config = configOf(values, source.latent, classNames.length);
  const task = createModelTask({
    ...source.task,
    config,
    rematerialize: values.rematerialize,
    maskGranularity: values.maskGranularity,
    initial: initial === undefined ? undefined : async () => (await loadTokenBridge(initial, { config })).params,
  });
  const metadata = describeWeights({ modelConfig: config, imageSize, vaeSha256, latentScale, classNames });
  const shapes = flattenShapes(tokenBridgeShapes(config));
  const stored = values.latentScale === undefined ? asked : { ...asked, latentScale }; // measured once
  const onResume = sameDataCheck(now, stored, values);
  const { drawEvery } = values;
  const run = { samples: source.samples, data, drawEvery, config: stored, metadata, shapes, onResume };
  await runTraining(task, values, run, log, async ({ ema }) => {
    const path = finishedWeightsOf(values.out, 'model');
    await saveTokenBridge(path, { params: ema, config }, { dtype: values.half ? 'F16' : 'F32', metadata });
    return [`model: ${path}`];
  });
}

/** Fits the preset to the latents and classes of the data. Latents with another number of channels keep their channel order. */
function configOf(
  { preset, dropout, labelDropout, levels }: ModelValues,
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
