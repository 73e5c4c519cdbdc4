import {
  changeDefaults,
  choice,
  integer,
  merge,
  number,
  type Overrides,
  text,
  toggle,
  UsageError,
} from '@tb/command-line';
import type { JoinedProcesses } from '@tb/runtime';
import { acceptOptions, initialOption, latentScaleOption, vaeOption } from '../../options/files.js';
import { assertCacheDecides, assertImagesFit } from '../../options/images.js';
import { resolveTraining, type TrainingValues, trainingOptions } from '../../options/training.js';

/** The defaults are those of the preset tiny. */
export const modelOptions = {
  preset: choice('size of the model', ['tiny', 'base', 'large', 'huge'], { default: 'tiny' }),
  cache: text('latent cache made by tb-train cache, instead of --data', { placeholder: 'folder' }),
  vae: vaeOption,
  latentScale: latentScaleOption,
  initial: initialOption,
  ...acceptOptions,
  head: choice(
    'head of the model: tokens one channel after another, all channels at once (Tab. 2a), or latents without tokens, by diffusion (MAR)',
    ['autoregressive', 'parallel', 'diffusion'],
    { default: 'autoregressive' },
  ),
  levels: integer('quantization levels B of a channel', { min: 2, max: 65536, default: 64 }),
  dropout: number('dropout rate, also of attention', { min: 0, max: 0.99, default: 0.1 }),
  labelDropout: number('share of labels hidden from the model, which guidance needs', {
    min: 0,
    max: 0.99,
    default: 0.1,
  }),
  maskGranularity: integer('pad lists of masked positions to multiples of this; larger means fewer compilations', {
    min: 1,
  }),
  rematerialize: toggle('recompute activations in the backward pass: less memory, more time', { default: false }),
  ...changeDefaults(trainingOptions, { imageSize: 64 }),
};

type ModelOverrides = Overrides<typeof modelOptions>;

/** Table 4 of the paper: 800 epochs, 200 of them warm-up, batches of 2048. */
const paper = {
  imageSize: 256,
  batch: 2048,
  epochs: 800,
  warmupEpochs: 200,
  baseLearningRate: 1e-4,
  ema: 0.9999,
} as const satisfies ModelOverrides;

export const modelPresets = {
  tiny: {},
  // Micro-batches for a GPU of 80 GB: large took 96 GiB at 64, nearly all of it in proportion to the images.
  base: { ...paper, microBatch: 32 },
  large: { ...paper, microBatch: 32 },
  huge: { ...paper, microBatch: 16 },
} as const satisfies Record<string, ModelOverrides>;

export type ModelValues = TrainingValues<typeof modelOptions>;

/** Resolves the values of the command. @throws UsageError when options exclude each other */
export async function resolveModel(flags: ModelOverrides): Promise<{
  values: ModelValues;
  /** The image size that a file or a flag sets; undefined where it is a default. */
  requestedSize?: number;
  group?: JoinedProcesses;
}> {
  const { values, given, group } = await resolveTraining('model', modelOptions, flags, modelPresets);
  if (values.head === 'diffusion' && merge(...given).levels !== undefined)
    throw new UsageError('--levels does nothing with --head diffusion, which has no quantizer');
  if (values.cache === undefined) assertImagesFit(values, given);
  else assertCacheDecides(given);
  return { values, requestedSize: merge(...given).imageSize, ...(group && { group }) };
}

/** Checks that a run from a cache has the image size of the cache. @throws UsageError when another one is requested */
export function assertSizeOfCache(imageSize: number, requestedSize = imageSize): void {
  if (requestedSize === imageSize) return;
  throw new UsageError(
    `--image-size ${requestedSize} is not that of the cache, which holds images of ${imageSize}: leave the option out, or make ` +
      `another cache with tb-train cache --image-size ${requestedSize}`,
  );
}
