import { backendTraits, disposeTree } from '@tb/runtime';
import { createAutoencoder, decodeToImages, downsamplingFactor, type Pixels, type Vae, type VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { generate } from './generate.js';
import type { KnownTokens } from './known-tokens.js';
import { type ImageModel, type ImageModelConfig, isMar, positionCount } from './model.js';
import { recommendedSampling } from './presets.js';
import { quantize } from './quantization.js';
import { type StoredParameters, storeForSampling } from './sampling-programs.js';
import type { GenerateOptions, GenerateProgress, PreviewOptions } from './sampling-request.js';

// From labels to images: sample latents, scale them to the autoencoder's units, decode, in batches.

/** Options of `createImageGenerator`. */
export type ImageGeneratorOptions = {
  /**
   * A model, as `loadTokenBridge` or `loadImageModel` returns it, or with the parameters that `storeForSampling` made, which saves
   * time where many generators are made. Its parameters must live as long as the generator.
   */
  model: { params: ImageModel | StoredParameters<ImageModel>; config: ImageModelConfig };
  /** The autoencoder that the model was trained with. Its parameters must live as long as the generator. */
  vae: { params: Vae; config: VaeConfig };
  /** Images computed together; default 16. */
  batchSize?: number;
  /** Steps of the cosine schedule, at least 1. Default: `recommendedSampling(model.config)`, 256 for L and H. */
  steps?: number;
  /** Guidance scale, 1 for none. Default: `recommendedSampling(model.config)`, 3.1 for L and 3.45 for H. */
  guidanceScale?: number;
  /** How the guidance scale grows with the known positions; default `linear`. */
  guidanceSchedule?: 'linear' | 'constant';
  /**
   * Temperature of the tokens, 0 for the likeliest. Default: `recommendedSampling(model.config)`, 0.97 for L and 0.91 for H.
   */
  temperature?: number;
  /** For MAR, the denoising steps of each position; default 100. */
  denoisingSteps?: number;
  /** In which order the positions of an image are filled; default `random`. MAR has no `confidence`. */
  order?: 'random' | 'raster' | 'confidence';
  /** Precision of matrix products, where the backend has a choice (xla); default `bf16`. */
  precision?: 'bf16' | 'fp32';
};

/** What an `ImageGenerator` is asked for: images by label and seed. */
export type ImageRequest = {
  /** The class of each image, or `null` for an image without one. */
  labels: readonly (number | null)[];
  /** One seed per image. The same seed and label give the same image, in any batch (in bfloat16: in batches of one size). */
  seeds: readonly (number | bigint)[];
  /**
   * Tokens that all images keep, for editing (`tokensOf` makes those of an image): `tokens` [S·C] and `isKnown` [S]. Default:
   * none.
   */
  known?: KnownTokens;
  /** Shows the images of each batch every few steps, decoded. They do not change by it. Default: no previews. */
  preview?: PreviewOptions<ImagesPreview>;
  /** Called after every step with the known positions of all images of the request. */
  onProgress?: (progress: GenerateProgress) => void;
  /** Stops before the next step with the signal's reason. */
  signal?: AbortSignal;
};

/** What is known of the positions of one image. */
export type PositionDetails = {
  /** The step that filled each position; −1 where it is masked or its tokens were given; [S]. */
  stepOfPosition: Int32Array;
  /** Probability of each position's tokens, as in `Generated`; 0 where masked; [S]. */
  confidence: Float32Array;
};

/** Some of the images of a request. */
export type GeneratedImages = {
  /** Place of the first of these images in the request, from 0. */
  first: number;
  /** RGB images, in the order of the request. */
  images: Pixels[];
  /** Of each image, its tokens [S·C] (none for MAR) and how its positions were filled. */
  details: (PositionDetails & { tokens?: Int32Array })[];
};

/** Some of the images of a request in the middle of sampling. */
export type ImagesPreview = {
  /** Place of the first of these images in the request, from 0. */
  first: number;
  /** Steps that are done, and all steps. */
  step: number;
  steps: number;
  /** RGB images, in which masked positions have latents of 0. */
  images: Pixels[];
  /** Of each image, how its positions were filled, and 1 where they are known [S]. */
  details: (PositionDetails & { isKnown: Uint8Array })[];
};

/** Generates images; made by `createImageGenerator`. */
export type ImageGenerator = {
  /** Generates images and yields them batch by batch. @throws Error if an option is out of range; the signal's reason */
  generate(request: ImageRequest): AsyncGenerator<GeneratedImages, void, undefined>;
  /**
   * Encodes and quantizes an image, for editing.
   *
   * @param image - square, of a size whose latents are the model's
   * @returns tokens [S·C]
   * @throws RangeError if the image has another size, or the model has no tokens
   */
  tokensOf(image: Pixels): Promise<Int32Array>;
  /** Frees what the generator made of the model's parameters. */
  dispose(): void;
};

/**
 * Combines a model, an autoencoder and the settings of sampling into one function from labels and seeds to images.
 *
 * @throws RangeError if the autoencoder's latents are not the model's, or `batchSize` is not a positive integer
 */
export function createImageGenerator(options: ImageGeneratorOptions): ImageGenerator {
  const { model, vae, batchSize = 16, precision = 'bf16', guidanceSchedule, order, denoisingSteps } = options;
  const recommended = recommendedSampling(model.config);
  const { channels } = model.config.latent;
  if (vae.config.latentChannels !== channels)
    throw new RangeError(
      `createImageGenerator: vae must make latents of ${channels} channels, got ${vae.config.latentChannels}`,
    );
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new RangeError(`createImageGenerator: batchSize must be a positive integer, got ${batchSize}`);
  const { params } = model;
  const stored = precision === 'bf16' && !('bfloat16' in params) ? storeForSampling(params) : undefined; // for all batches
  const settings = {
    params: stored ?? params,
    config: model.config,
    precision,
    steps: options.steps ?? recommended.steps,
    guidanceScale: options.guidanceScale ?? recommended.guidanceScale,
    temperature: options.temperature ?? recommended.temperature,
    ...(guidanceSchedule && { guidanceSchedule }),
    ...(order && { order }),
    ...(denoisingSteps !== undefined && { denoisingSteps }),
  };
  return {
    generate: (request) => generateBatches(settings, vae, batchSize, request),
    tokensOf: (image) => encodeToTokens(model.config, vae, image),
    dispose: () => disposeTree(stored ?? []),
  };
}

type Settings = Omit<
  GenerateOptions<ImageModelConfig>,
  'labels' | 'seeds' | 'known' | 'preview' | 'onProgress' | 'signal'
>;

async function* generateBatches(
  settings: Settings,
  vae: ImageGeneratorOptions['vae'],
  batchSize: number,
  request: ImageRequest,
): AsyncGenerator<GeneratedImages, void, undefined> {
  const { labels, seeds } = request;
  const count = labels.length;
  if (seeds.length !== count)
    throw new RangeError(`createImageGenerator: seeds must be ${count}, one per label, got ${seeds.length}`);
  const size = Math.min(batchSize, count);
  for (let first = 0; first < count; first += size)
    yield await generateBatch(settings, vae, request, { first, images: Math.min(size, count - first), size });
}

/** Which images of a request are computed together: `images` from `first` on, in a batch of up to `size`. */
type Batch = { first: number; images: number; size: number };

async function generateBatch(
  settings: Settings,
  vae: ImageGeneratorOptions['vae'],
  request: ImageRequest,
  { first, images, size }: Batch,
): Promise<GeneratedImages> {
  const { labels, seeds, signal, known, preview, onProgress } = request;
  const { positions, values } = lengthsOf(settings.config);
  // Where programs are compiled, the last batch is filled up with repeated images, so that one program serves all.
  const computed = Array.from({ length: isCompiled() ? size : images }, (_, index) => first + (index % images));
  const decodeShown = async (latents: tf.Tensor4D) => (await decodeLatents(vae, latents)).slice(0, images);
  const { tokens, latents, ...maps } = await generate({
    ...settings,
    labels: computed.map((place) => labels[place]),
    seeds: computed.map((place) => seeds[place]),
    signal,
    known: known && { tokens: repeat(known.tokens, computed.length), isKnown: repeat(known.isKnown, computed.length) },
    preview: preview && {
      every: preview.every,
      show: async ({ latents, step, steps, ...maps }) =>
        preview.show({
          first,
          step,
          steps,
          images: await decodeShown(latents),
          details: splitMaps(maps, images, positions),
        }),
    },
    onProgress:
      onProgress &&
      (({ known, positions: all }) =>
        onProgress({
          known: first * positions + (images * positions * known) / all,
          positions: labels.length * positions,
        })),
  });
  try {
    const tokenValues = tokens && Int32Array.from(await tokens.data());
    const details = splitMaps(maps, images, positions).map((detail, image) => ({
      ...detail,
      ...(tokenValues && { tokens: tokenValues.slice(image * values, (image + 1) * values) }),
    }));
    return { first, images: await decodeShown(latents), details };
  } finally {
    tf.dispose([tokens ?? [], latents]);
  }
}

/** S, and S·C. */
function lengthsOf(config: ImageModelConfig): { positions: number; values: number } {
  const positions = positionCount(config);
  return { positions, values: positions * config.latent.channels };
}

const repeat = <T>(values: ArrayLike<T>, times: number) =>
  Array.from({ length: times }, () => Array.from(values)).flat();

/** The maps [N·S] of a batch as maps [S] of the first `images` images. */
function splitMaps<Maps extends Record<string, Int32Array | Float32Array | Uint8Array>>(
  maps: Maps,
  images: number,
  positions: number,
): Maps[] {
  const ofImage = (image: number) =>
    Object.entries(maps).map(([name, map]) => [name, map.slice(image * positions, (image + 1) * positions)]);
  return Array.from({ length: images }, (_, image) => Object.fromEntries(ofImage(image)) as Maps);
}

/** Encodes an image to the mean of its latents, and quantizes them. */
async function encodeToTokens(
  modelConfig: ImageModelConfig,
  { params, config }: ImageGeneratorOptions['vae'],
  { width, height, data }: Pixels,
): Promise<Int32Array> {
  if (isMar(modelConfig)) throw new RangeError('createImageGenerator: a model of MAR has no tokens');
  const { latent, quantizer } = modelConfig;
  const factor = downsamplingFactor(config);
  if (width !== latent.width * factor || height !== latent.height * factor || width !== height)
    throw new RangeError(
      `createImageGenerator: the image must have ${latent.width * factor} × ${latent.height * factor} pixels and be square, got ${width} × ${height}`,
    );
  const encoded = await createAutoencoder(config, width).encode(params, data);
  const scaled = encoded.map((value) => value * config.latentScale);
  const tokens = tf.tidy(() =>
    quantize(quantizer, tf.tensor4d(scaled, [1, latent.height, latent.width, latent.channels])),
  );
  return Int32Array.from(await tokens.data().finally(() => tokens.dispose()));
}

/** Decodes images together where programs are compiled, and else one by one, where a product of one image rounds differently. */
async function decodeLatents(
  { params, config }: ImageGeneratorOptions['vae'],
  latents: tf.Tensor4D,
): Promise<Pixels[]> {
  const scaled = tf.tidy(() => {
    const inUnitsOfVae = tf.div(latents, config.latentScale) as tf.Tensor4D;
    return isCompiled() ? [inUnitsOfVae] : tf.split<tf.Tensor4D>(inUnitsOfVae, latents.shape[0]);
  });
  const images: Pixels[] = [];
  try {
    for (const batch of scaled) images.push(...(await decodeToImages(params, config, batch)));
    return images;
  } finally {
    tf.dispose(scaled);
  }
}

const isCompiled = () => backendTraits().compilesPerShape;
