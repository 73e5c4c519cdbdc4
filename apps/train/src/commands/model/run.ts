import { UsageError } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { flattenShapes } from '@tb/nn';
import type { JoinedProcesses } from '@tb/runtime';
import {
  type ImageModelConfig,
  loadImageModel,
  marPresets,
  presets,
  saveTokenBridge,
  type TokenBridgeConfig,
  tokenBridgeShapes,
} from '@tb/tokenbridge';
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
  type ImageSource,
  type LatentBatch,
  type LatentCache,
  type LoadedVae,
  loadVaeFile,
  type ModelTaskOptions,
  openLatentBatches,
  openLatentCache,
  type RunLog,
  readHeldOutLatents,
  type TrainOptions,
} from '@tb/trainer';
import { batchesOf, latentSize, openData, readSome, scaleLatents, validationBatch } from '../../data.js';
import { isFirst, measuredOnce, reportOf } from '../../group.js';
import { storedOptions } from '../../options/training.js';
import { assertSameData, findInitialWeights, sameDataCheck } from '../../starting-weights.js';
import { prepareRunFolder, runTraining } from '../../training.js';
import { assertSizeOfCache, type ModelValues } from './options.js';

/**
 * Runs `tb-train model`.
 *
 * @param start - the side of the images that the user set, which that of a cache must equal; and the processes that train
 *   together, if there are several
 */
export async function trainModel(
  values: ModelValues,
  { requestedSize, group }: { requestedSize?: number; group?: JoinedProcesses } = {},
): Promise<void> {
  await prepareRunFolder(values, group);
  const initial = await findInitialWeights(values, 'model');
  const cache = values.cache === undefined ? undefined : await openLatentCache(values.cache);
  if (cache) assertSizeOfCache(cache.imageSize, requestedSize);

  const stored = storedOptions('model', { ...values, ...(cache && { imageSize: cache.imageSize }) });
  const title = `${values.head === 'diffusion' ? 'MAR' : 'TokenBridge'} ${values.preset}`;
  const log = createRunLog({ out: values.out, title, config: stored, terminal: process.stderr, processes: group });
  const run = { values, stored, log, initial, group };
  try {
    if (cache) await trainOn(await openCached(cache, values, group), run);
    else await trainOn(await openImages(values, log, group), run);
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
async function openImages(
  values: ModelValues,
  log: RunLog,
  group: JoinedProcesses | undefined,
): Promise<ModelData<ImageBatch>> {
  const { folder, training, validation } = await openData(values, reportOf(group));
  log.found(training.summary);
  const vaeFile = findVae(values.vae); // what is missing is reported before a backend is loaded
  await startBackend(values, group);
  const vae = await scaleOnce(await loadVaeFile(vaeFile), training, values, group);
  return {
    task: {
      latents: encodedImages(vae.params, vae.config, training.size),
      latentScale: vae.config.latentScale,
      openBatches: batchesOf(training, values, log.badImage),
      heldOut: validation && isFirst(group) ? await readSome(validation, values.validationImages, values.threads) : [],
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
async function openCached(
  cache: LatentCache,
  values: ModelValues,
  group: JoinedProcesses | undefined,
): Promise<ModelData<LatentBatch>> {
  const vaeFile = values.vae === undefined ? undefined : findVae(values.vae);
  await startBackend(values, group);
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
      openBatches: (firstStep, share) => openLatentBatches(cache, { batchSize: batch, seed, firstStep, flip, share }),
      heldOut: isFirst(group) ? await readHeldOutLatents(cache, validationImages, validationBatch) : [],
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
  group: JoinedProcesses | undefined;
};

/** Gives the autoencoder its latent scale, which process 0 measures for all. */
async function scaleOnce(
  vae: LoadedVae,
  source: ImageSource,
  values: ModelValues,
  group: JoinedProcesses | undefined,
): Promise<LoadedVae> {
  let scaled: LoadedVae | undefined;
  const latentScale = await measuredOnce(group, 'latent-scale', async () => {
    scaled = await scaleLatents(vae, source, values);
    return scaled.config.latentScale;
  });
  return scaled ?? { ...vae, config: { ...vae.config, latentScale } };
}

async function trainOn<Batch extends { labels: Int32Array }>(
  source: ModelData<Batch>,
  { values, stored: asked, log, initial, group }: ModelRun,
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
    initial: initial === undefined ? undefined : async () => (await loadImageModel(initial, { config })).params,
  });
  const metadata = describeWeights({ modelConfig: config, imageSize, vaeSha256, latentScale, classNames });
  const shapes = flattenShapes(tokenBridgeShapes(config));
  const stored = values.latentScale === undefined ? asked : { ...asked, latentScale }; // measured once
  const onResume = sameDataCheck(now, stored, values);
  const { drawEvery } = values;
  const run = { samples: source.samples, data, drawEvery, config: stored, metadata, shapes, onResume };
  await runTraining(task, values, run, {
    log,
    group,
    async finish({ ema }) {
      const path = finishedWeightsOf(values.out, 'model');
      await saveTokenBridge(path, { params: ema, config }, { dtype: values.half ? 'F16' : 'F32', metadata });
      return [`model: ${path}`];
    },
  });
}

/** Fits the preset to the latents and classes of the data. Latents with another number of channels keep their channel order. */
function configOf(
  { preset, head, dropout, labelDropout, levels }: ModelValues,
  latent: TokenBridgeConfig['latent'],
  classes: number,
): ImageModelConfig {
  const rates = { attentionDropout: dropout, projectionDropout: dropout, labelDropout };
  if (head === 'diffusion') {
    const { training, ...sizes } = marPresets[preset];
    return { ...sizes, latent, classes, training: { ...training, ...rates } };
  }
  const { channelOrder, quantizer, training, ...sizes }: TokenBridgeConfig = presets[preset];
  const hasOrder = channelOrder.length === latent.channels;
  return {
    ...sizes,
    head: { ...sizes.head, kind: head },
    latent,
    classes,
    channelOrder: hasOrder ? channelOrder : Array.from({ length: latent.channels }, (_, channel) => channel),
    quantizer: { ...quantizer, levels },
    training: { ...training, ...rates },
  };
}
