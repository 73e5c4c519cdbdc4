import { backendTraits, disposeTree } from '@tb/runtime';
import { decodeToImages, type Pixels, type Vae, type VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { generate } from './generate.js';
import { positionCount, type TokenBridge, type TokenBridgeConfig } from './model.js';
import { recommendedSampling } from './presets.js';
import { storeForSampling } from './sampling-programs.js';
import type { GenerateOptions, GenerateProgress } from './sampling-request.js';

// From labels to images: sample latents, scale them to the autoencoder's units, decode, in batches.

/** Options of `createImageGenerator`. */
export type ImageGeneratorOptions = {
  /** A TokenBridge model, as `loadTokenBridge` returns it. Its parameters must live as long as the generator. */
  model: { params: TokenBridge; config: TokenBridgeConfig };
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
  /** In which order the positions of an image are filled; default `random`. */
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
  /** Called after every step with the known positions of all images of the request. */
  onProgress?: (progress: GenerateProgress) => void;
  /** Stops before the next step with the signal's reason. */
  signal?: AbortSignal;
};

/** Some of the images of a request. */
export type GeneratedImages = {
  /** Place of the first of these images in the request, from 0. */
  first: number;
  /** RGB images, in the order of the request. */
  images: Pixels[];
};

/** Generates images; made by `createImageGenerator`. */
export type ImageGenerator = {
  /** Generates images and yields them batch by batch. @throws Error if an option is out of range; the signal's reason */
  generate(request: ImageRequest): AsyncGenerator<GeneratedImages, void, undefined>;
  /** Frees what the generator made of the model's parameters. */
  dispose(): void;
};

/**
 * Combines a model, an autoencoder and the settings of sampling into one function from labels and seeds to images.
 *
 * @throws RangeError if the autoencoder's latents are not the model's, or `batchSize` is not a positive integer
 */
export function createImageGenerator(options: ImageGeneratorOptions): ImageGenerator {
  const { model, vae, batchSize = 16, precision = 'bf16', guidanceSchedule, order } = options;
  const recommended = recommendedSampling(model.config);
  const { channels } = model.config.latent;
  if (vae.config.latentChannels !== channels)
    throw new RangeError(
      `createImageGenerator: vae must make latents of ${channels} channels, got ${vae.config.latentChannels}`,
    );
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new RangeError(`createImageGenerator: batchSize must be a positive integer, got ${batchSize}`);
  const stored = precision === 'bf16' ? storeForSampling(model.params) : undefined; // once for all batches
  const settings = {
    params: stored ?? model.params,
    config: model.config,
    precision,
    steps: options.steps ?? recommended.steps,
    guidanceScale: options.guidanceScale ?? recommended.guidanceScale,
    temperature: options.temperature ?? recommended.temperature,
    ...(guidanceSchedule && { guidanceSchedule }),
    ...(order && { order }),
  };
  return {
    generate: (request) => generateBatches(settings, vae, batchSize, request),
    dispose: () => disposeTree(stored ?? []),
  };
}

type Settings = Omit<GenerateOptions, 'labels' | 'seeds' | 'onProgress' | 'signal'>;

async function* generateBatches(
  settings: Settings,
  vae: ImageGeneratorOptions['vae'],
  batchSize: number,
  { labels, seeds, onProgress, signal }: ImageRequest,
): AsyncGenerator<GeneratedImages, void, undefined> {
  const count = labels.length;
  if (seeds.length !== count)
    throw new RangeError(`createImageGenerator: seeds must be ${count}, one per label, got ${seeds.length}`);
  const positions = positionCount(settings.config);
  const size = Math.min(batchSize, count);
  for (let first = 0; first < count; first += size) {
    const places = Array.from({ length: Math.min(size, count - first) }, (_, index) => first + index);
    // Where programs are compiled, the last batch is filled up with repeated images, so that one program serves all.
    const computed = isCompiled() ? Array.from({ length: size }, (_, index) => places[index % places.length]) : places;
    const { tokens, latents } = await generate({
      ...settings,
      labels: computed.map((place) => labels[place]),
      seeds: computed.map((place) => seeds[place]),
      signal,
      onProgress:
        onProgress &&
        (({ known, positions: all }) =>
          onProgress({
            known: first * positions + (places.length * positions * known) / all,
            positions: count * positions,
          })),
    });
    const images = await decodeLatents(vae, latents).finally(() => tf.dispose([tokens, latents]));
    yield { first, images: images.slice(0, places.length) };
  }
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
