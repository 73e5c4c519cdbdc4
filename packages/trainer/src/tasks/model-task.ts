import { imageGrid, type Pixels, zoomTo } from '@tb/images';
import { disposeTree, drawKeys, hostRandom, jit, type TensorTree } from '@tb/runtime';
import {
  createImageGenerator,
  drawTrainingMasks,
  evaluate,
  exampleTrainingMasks,
  type ImageModel,
  type ImageModelConfig,
  initTokenBridge,
  isMar,
  type LossInputs,
  loss,
  type TrainingMasks,
} from '@tb/tokenbridge';
import { encode, imagesToTensor, type Posterior, posteriorOf, sampleLatent, type Vae, type VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { completeBatch, takeRows } from '../data/batch-share.js';
import type { ImageBatch } from '../data/image-batches.js';
import type { LatentBatch } from '../data/latent-batches.js';
import type { Task } from '../task.js';

/** Where the model's latents come from: images through the autoencoder, or a cache of what it gave for them. */
export type LatentInput<Batch, Latents extends Sources = Sources, Constants extends TensorTree = TensorTree> = {
  /** Tensors that `posterior` reads and training does not change; see `Task`. */
  constants: Constants;
  toTensors(batch: Batch): Latents;
  /** Tensors of the shapes that `toTensors` returns for so many images. */
  example(images: number): Latents;
  /** Pure; runs inside the training step. */
  posterior(constants: Constants, tensors: Latents): Posterior;
};

/** Tensors that latents are made of, such as images. */
type Sources = Record<string, tf.Tensor>;

/** Encodes images inside the training step. Takes over `vae`. */
export function encodedImages(vae: Vae, config: VaeConfig, size: number): LatentInput<ImageBatch> {
  const input: LatentInput<ImageBatch, { images: tf.Tensor4D }, Vae> = {
    constants: vae,
    toTensors: ({ images, labels }) => ({ images: imagesToTensor(images, labels.length, size) }),
    example: (images) => ({ images: tf.fill<tf.Rank.R4>([images, size, size, 3], 0) }),
    posterior: (autoencoder, { images }) => encode(autoencoder, config, images),
  };
  return input;
}

/** Reads the moments that `tb-train cache` stored. */
export function cachedMoments(
  shape: readonly [height: number, width: number, channels: number],
): LatentInput<LatentBatch> {
  const [height, width, channels] = shape;
  const input: LatentInput<LatentBatch, { moments: tf.Tensor4D }> = {
    constants: {},
    toTensors: ({ moments, labels }) => ({
      moments: tf.tensor4d(moments, [labels.length, height, width, 2 * channels]),
    }),
    example: (images) => ({ moments: tf.fill<tf.Rank.R4>([images, height, width, 2 * channels], 0) }),
    posterior: (_, { moments }) => posteriorOf(moments),
  };
  return input;
}

/** What a model of TokenBridge or MAR is trained on, and how. */
export type ModelTaskOptions<Batch, Latents extends Sources = Sources> = {
  config: ImageModelConfig;
  latents: LatentInput<Batch, Latents>;
  /** A latent times this has about unit variance. */
  latentScale: number;
  openBatches: Task<ImageModel, Batch>['openBatches'];
  /** Data that training does not see. */
  heldOut: readonly Batch[];
  /** Turns latents into images; without it no samples are drawn. */
  decoder?: { params: Vae; config: VaeConfig };
  classNames: readonly string[];
  /** Start from these parameters rather than from noise. */
  initial?: () => Promise<ImageModel>;
  /** See `LossOptions` of @tb/tokenbridge. */
  rematerialize?: boolean;
  /** Lists of masked positions are padded to multiples of this, see `drawMasking` of @tb/backbone. */
  maskGranularity?: number;
};

/** The tensors of a step, besides those that the latents are made of. */
type StepTensors = {
  labels: tf.Tensor1D;
  masks: TrainingMasks;
  /** For the noise of the posterior samples, one key for each image. */
  keys: tf.Tensor2D;
  /** For the timesteps and the noise of a diffusion head, one key for each image. */
  noiseKeys?: tf.Tensor2D;
};

/** Makes the task of training a model on latents, as the reference does: posterior samples, masks, dropout. */
export function createModelTask<Batch extends { labels: Int32Array }, Latents extends Sources = Sources>(
  options: ModelTaskOptions<Batch, Latents>,
): Task<ImageModel, Batch> {
  const { config, latents, latentScale, openBatches, heldOut, decoder, initial, rematerialize, maskGranularity } =
    options;
  const lossInputs = (constants: TensorTree, tensors: Latents & StepTensors): LossInputs => ({
    latents: tf.mul(sampleLatent(latents.posterior(constants, tensors), tensors.keys), latentScale),
    labels: tensors.labels,
    masks: tensors.masks,
    noiseKeys: tensors.noiseKeys,
  });
  const validationLoss = (params: ImageModel, constants: TensorTree, tensors: Latents & StepTensors): Measured => {
    const measured = evaluate(params, config, lossInputs(constants, tensors));
    return 'accuracy' in measured ? { loss: measured.loss, accuracy: measured.accuracy } : measured;
  };
  const evaluateBatch = jit(validationLoss);
  const task: Task<ImageModel, Batch, Latents & StepTensors> = {
    init: (key) => (initial ? initial() : initTokenBridge(key, config)),
    constants: latents.constants,
    loss: (params, constants, tensors, dropoutKey) => ({
      loss: loss(params, config, lossInputs(constants, tensors), { dropoutKey, rematerialize }),
    }),
    openBatches,
    toTensors: (batch, random, share = completeBatch, images = batch.labels.length) => ({
      ...latents.toTensors(batch),
      labels: tf.tensor1d(batch.labels, 'int32'),
      masks: takeRows(drawTrainingMasks(random, config, images, maskGranularity), share, images),
      keys: takeRows(drawKeys(random, images), share, images),
      ...(isMar(config) && { noiseKeys: takeRows(drawKeys(random, images), share, images) }),
    }),
    examples: (images, random) =>
      exampleTrainingMasks(random, config, images, maskGranularity).map((masks) => ({
        ...latents.example(images),
        labels: tf.fill<tf.Rank.R1>([images], 0, 'int32'),
        masks,
        keys: tf.fill<tf.Rank.R2>([images, 2], 0, 'int32'),
        ...(isMar(config) && { noiseKeys: tf.fill<tf.Rank.R2>([images, 2], 0, 'int32') }),
      })),
  };
  if (heldOut.length > 0) {
    task.validate = (ema) => validate(ema, heldOut, task, evaluateBatch);
    task.prepare = (ema, signal) => {
      signal.addEventListener('abort', () => evaluateBatch.cancel());
      return prepareValidation(ema, heldOut, task, evaluateBatch, signal);
    };
  }
  if (decoder) task.draw = drawerOf(options, decoder);
  return task;
}

/** Makes the programs of `validate` ready, one for each shape of its masks. */
async function prepareValidation<Batch, Tensors extends TensorTree>(
  params: () => ImageModel,
  batches: readonly Batch[],
  { toTensors, constants }: Task<ImageModel, Batch, Tensors>,
  evaluateBatch: { prepare(params: ImageModel, constants: TensorTree, tensors: Tensors): Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  for (const [index, batch] of batches.entries()) {
    if (signal.aborted) return;
    const tensors = toTensors(batch, hostRandom(0, index));
    evaluateBatch.prepare(params(), constants, tensors).catch(() => undefined); // validation throws it
    disposeTree(tensors);
    await new Promise((resolve) => setImmediate(resolve)); // tracing keeps the thread busy
  }
}

/** What validation measures of a batch; scalars by name. */
type Measured = Record<string, tf.Scalar>;

/** Loss in nats and accuracy per token, or the terms of the diffusion loss, with the same masks and noise every time. */
async function validate<Batch, Tensors extends TensorTree>(
  params: ImageModel,
  batches: readonly Batch[],
  { toTensors, constants }: Task<ImageModel, Batch, Tensors>,
  evaluateBatch: (params: ImageModel, constants: TensorTree, tensors: Tensors) => Measured,
): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const [index, batch] of batches.entries()) {
    const tensors = toTensors(batch, hostRandom(0, index));
    const result = evaluateBatch(params, constants, tensors);
    for (const [name, value] of Object.entries(result)) sums[name] = (sums[name] ?? 0) + (await value.data())[0];
    disposeTree([tensors, result]);
  }
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / batches.length]));
}

const mostClasses = 10;
const shownWidth = 96;

/** Draws one image of each of the first classes. */
function drawerOf(
  { config, classNames }: Pick<ModelTaskOptions<unknown>, 'config' | 'classNames'>,
  vae: { params: Vae; config: VaeConfig },
): (ema: ImageModel) => Promise<Pixels> {
  const labels = Array.from({ length: Math.min(mostClasses, config.classes) }, (_, label) => label);
  const seeds = labels.map((label) => label + 1);
  const settings = { steps: 16, guidanceScale: 3, temperature: 1, batchSize: labels.length };
  return async (params) => {
    const generator = createImageGenerator({ model: { params, config }, vae, ...settings });
    const images: Pixels[] = [];
    try {
      for await (const batch of generator.generate({ labels, seeds })) images.push(...batch.images);
    } finally {
      generator.dispose();
    }
    const captions = labels.map((label) => classNames[label] ?? String(label));
    return imageGrid(images, { columns: 5, captions, zoom: zoomTo(images[0], shownWidth) });
  };
}
