// What the page asks for, computed: generated, edited and reconstructed images. Without modules of Node, because a Worker of the
// static site computes with it as the server does. Both pass what differs: the PNG encoder, the seeds of images, PSNR and SSIM.
import { backendTraits, disposeTree } from '@tb/runtime';
import {
  createImageGenerator,
  type GeneratedImages,
  type ImagesPreview,
  recommendedSampling,
  type StoredParameters,
  storeForSampling,
  type TokenBridge,
  type TokenBridgeConfig,
} from '@tb/tokenbridge';
import {
  type Autoencoder,
  createAutoencoder,
  downsamplingFactor,
  type Pixels,
  type Vae,
  type VaeConfig,
} from '@tb/vae';
import { RefusedError } from './check-requests.js';
import { quantizeLatents, shareOutside, useOfChannels } from './latents.js';
import { decodeTokens, encodeBase64, encodeTokens, keptPositions, positionMaps } from './maps.js';
import type {
  EditRequest,
  GenerateRequest,
  JobEvent,
  MessageImage,
  ModelInfo,
  ReconstructRequest,
  SamplingSettings,
  Similarity,
} from './messages.js';

/** The settings of an image under the names that PNG files of `tb-sample generate` have them. */
export type ImageSettings = {
  cfg: number;
  cfgSchedule: SamplingSettings['guidanceSchedule'];
  temperature: number;
  numIter: number;
  order: SamplingSettings['order'];
  seed: number;
  /** Positions that were filled again, of an edited image. */
  editedPositions?: number[];
};

/** Which image a PNG file holds. */
export type ImageIdentity = {
  /** Name of the class, null for none. */
  name: string | null;
  label: number | null;
  /** Number of the image within its class, from 0. */
  index: number;
  seed: bigint;
};

/** What the page computes with. */
export type ComputeOptions = {
  /** Its parameters must live as long as the result. */
  model: { params: TokenBridge; config: TokenBridgeConfig };
  vae: { params: Vae; config: VaeConfig };
  /** Names of the classes in the order of their labels. */
  classNames: readonly string[];
  /** Images computed together. */
  batchSize: number;
  precision?: 'bf16' | 'fp32';
  /** Encodes a finished image with its settings, as `tb-sample generate` does. */
  encodeFinished(image: Pixels, settings: ImageSettings, identity: ImageIdentity): Promise<Uint8Array>;
  encodePng(image: Pixels): Promise<Uint8Array>;
  /** Seed of an image of a class; −1 for no class. */
  seedOf(seed: number, label: number, index: number): bigint | Promise<bigint>;
  /** NaN where a measure does not exist. */
  similarity(a: Pixels, b: Pixels): { psnr: number; ssim: number };
};

/** One job: where its results go, what stops it, and how it lets others take turns. */
export type JobContext = {
  emit(event: JobEvent): void;
  signal: AbortSignal;
  /** Waits while others compute, between two batches. */
  pass?(): Promise<void>;
};

/** Computes what the page asks for, one job at a time. */
export type PageCompute = {
  /** Facts for `ModelInfo`. */
  facts: Pick<ModelInfo, 'image' | 'grid' | 'quantizer' | 'presets'>;
  generate(request: GenerateRequest, context: JobContext): Promise<void>;
  /** @param square - the image that the request names, if it does not hold tokens */
  edit(request: EditRequest, square: Pixels | undefined, context: JobContext): Promise<void>;
  reconstruct(request: ReconstructRequest, square: Pixels, context: JobContext): Promise<void>;
  /** Frees what was made of the model's parameters. */
  dispose(): void;
};

/** Lets events out before the next computation, which may block the thread. */
export const deliver = () => new Promise<void>((resolve) => setTimeout(resolve));

/** Makes what computes for the page. */
export function createPageCompute(options: ComputeOptions): PageCompute {
  const { model, precision = 'bf16' } = options;
  const stored = precision === 'bf16' ? storeForSampling(model.params) : undefined; // once for all jobs
  const params = stored ?? model.params;
  const measure = createReconstruction(options);
  return {
    facts: factsOf(model.config, options.vae.config),
    generate: ({ classes, count, ...rest }, context) => {
      // The first image of every class before the second of any, as `tb-sample generate` lists them.
      const images = Array.from({ length: count }, (_, index) => classes.map((label) => ({ label, index }))).flat();
      return sample(options, params, { ...rest, images }, context);
    },
    async edit({ source, mask, label, count, ...rest }, square, context) {
      const images = Array.from({ length: count }, (_, index) => ({ label, index }));
      const isKnown = keptPositions(mask, rest.seed);
      const tokens = 'tokens' in source ? decodeTokens(source.tokens) : await tokensOf(options, params, square!);
      if (tokens.some((token) => token >= model.config.quantizer.levels))
        throw new RefusedError('source.tokens must be tokens of this model');
      return sample(options, params, { ...rest, images, known: { tokens, isKnown } }, context);
    },
    async reconstruct(request, square, { emit }) {
      emit({ type: 'reconstruction', ...(await measure(square, request)) });
    },
    dispose: () => disposeTree(stored ?? []),
  };
}

/** The facts that follow from the configurations. */
export function factsOf(config: TokenBridgeConfig, vae: VaeConfig): PageCompute['facts'] {
  const { height, width, channels } = config.latent;
  const factor = downsamplingFactor(vae);
  const { steps, guidanceScale: guidance, temperature } = recommendedSampling(config);
  const settings = { guidance, temperature, steps, guidanceSchedule: 'linear', order: 'random' } as const;
  return {
    image: { width: width * factor, height: height * factor },
    grid: { height, width, channels },
    quantizer: { levels: config.quantizer.levels, range: Math.max(...[config.quantizer.max].flat()) },
    presets: [
      { name: 'recommended', settings },
      { name: 'faster', settings: { ...settings, steps: Math.max(1, Math.round(steps / 2)) } },
    ],
  };
}

type Sampling = Omit<GenerateRequest, 'classes' | 'count'> & {
  images: { label: number | null; index: number }[];
  known?: { tokens: Int32Array; isKnown: Uint8Array };
};

function generatorOf(
  { model, vae, batchSize, precision }: ComputeOptions,
  params: SamplingParameters,
  request?: Sampling,
) {
  // Where programs are compiled, each size of batch needs its own: so there are two.
  const isSmall = backendTraits().compilesPerShape && request?.images.length === 1;
  return createImageGenerator({
    model: { params, config: model.config },
    vae,
    precision,
    batchSize: isSmall ? 1 : batchSize,
    ...(request && {
      steps: request.steps,
      guidanceScale: request.guidance,
      guidanceSchedule: request.guidanceSchedule,
      temperature: request.temperature,
      order: request.order,
    }),
  });
}

type SamplingParameters = TokenBridge | StoredParameters;

async function tokensOf(options: ComputeOptions, params: SamplingParameters, square: Pixels): Promise<Int32Array> {
  const generator = generatorOf(options, params);
  return await generator.tokensOf(square).finally(() => generator.dispose());
}

async function sample(options: ComputeOptions, params: SamplingParameters, request: Sampling, context: JobContext) {
  const { images, known, previewEvery, seed } = request;
  const { emit, signal, pass } = context;
  const isEdited = known?.isKnown.includes(1) === true;
  const seeds = await Promise.all(images.map(({ label, index }) => options.seedOf(seed, label ?? -1, index)));
  const generator = generatorOf(options, params, request);
  const progress = { labels: images.map(({ label }) => label), seeds, signal };
  const show = async (preview: ImagesPreview) => {
    emit(await previewEvent(preview, options));
    await deliver();
  };
  const batches = generator.generate({
    ...progress,
    ...(isEdited && { known }),
    ...(previewEvery > 0 && { preview: { every: previewEvery, show } }),
    onProgress: ({ known, positions }) => emit({ type: 'progress', known: Math.round(known), positions }),
  });
  try {
    for await (const batch of batches) {
      for (const event of await finishedEvents(batch, seeds, request, options)) emit(event);
      if (batch.first + batch.images.length < images.length) await pass?.();
    }
  } finally {
    generator.dispose();
  }
}

async function previewEvent({ first, step, steps, images, details }: ImagesPreview, options: ComputeOptions) {
  const shown = images.map(async (image, place) => ({
    index: first + place,
    image: await messageImage(image, options.encodePng(image)),
    ...positionMaps(details[place], details[place].isKnown),
  }));
  return { type: 'preview', step, steps, images: await Promise.all(shown) } as const;
}

function finishedEvents(
  { first, images, details }: GeneratedImages,
  seeds: readonly bigint[],
  request: Sampling,
  { classNames, encodeFinished }: ComputeOptions,
) {
  return Promise.all(
    images.map(async (image, place) => {
      const { label, index } = request.images[first + place];
      const seed = seeds[first + place];
      const identity = { name: label === null ? null : classNames[label], label, index, seed };
      return {
        type: 'image',
        index: first + place,
        label,
        seed: String(seed),
        image: await messageImage(image, encodeFinished(image, settingsOf(request), identity)),
        file: `${fileOf(label, index)}${request.known ? '-edited' : ''}.png`,
        tokens: encodeTokens(details[place].tokens!),
        ...positionMaps(details[place]),
      } as const;
    }),
  );
}

const fileOf = (label: number | null, index: number) =>
  `class-${label === null ? 'none' : String(label).padStart(4, '0')}-${String(index).padStart(6, '0')}`;

function settingsOf({ guidance, guidanceSchedule, temperature, steps, order, seed, known }: Sampling): ImageSettings {
  const settings = { cfg: guidance, cfgSchedule: guidanceSchedule, temperature, numIter: steps, order, seed };
  if (!known) return settings;
  return { ...settings, editedPositions: Array.from(known.isKnown.keys()).filter((p) => known.isKnown[p] === 0) };
}

async function messageImage({ width, height }: Pixels, png: Promise<Uint8Array>): Promise<MessageImage> {
  return { width, height, png: encodeBase64(await png) };
}

/** What does not depend on levels and range. */
type Encoded = { normalized: Float32Array; shape: [number, number, number, number]; alone: Measured };
type Measured = Similarity & { image: MessageImage };

/** Makes the function that sends images through autoencoder and quantizer. An image is encoded once, as long as it is kept. */
function createReconstruction(options: ComputeOptions) {
  const { model, vae, encodePng, similarity } = options;
  const { params, config } = vae;
  const { height, width, channels } = model.config.latent;
  const autoencoder: Autoencoder = createAutoencoder(config, height * downsamplingFactor(config));
  const encodings = new WeakMap<Pixels, Promise<Encoded>>();
  const measured = async (square: Pixels, normalized: Float32Array, shape: Encoded['shape']): Promise<Measured> => {
    const latents = normalized.map((value) => value / config.latentScale);
    const [image] = await autoencoder.decode(params, latents, shape);
    const { psnr, ssim } = similarity(square, image);
    const orNull = (value: number) => (Number.isFinite(value) ? value : null);
    return { psnr: orNull(psnr), ssim: orNull(ssim), image: await messageImage(image, encodePng(image)) };
  };
  const encode = async (square: Pixels): Promise<Encoded> => {
    const latents = await autoencoder.encode(params, square.data);
    const normalized = latents.map((value) => value * config.latentScale);
    const shape: Encoded['shape'] = [1, height, width, channels];
    return { normalized, shape, alone: await measured(square, normalized, shape) };
  };
  return async (square: Pixels, { levels, range }: ReconstructRequest) => {
    const encoding = encodings.get(square) ?? encode(square);
    encodings.set(square, encoding);
    encoding.catch(() => encodings.delete(square));
    const { normalized, shape, alone } = await encoding;
    const { indices, restored } = quantizeLatents(normalized, { levels, range });
    return {
      levels,
      range,
      original: await messageImage(square, encodePng(square)),
      autoencoder: alone,
      quantized: await measured(square, restored, shape),
      outOfRange: shareOutside(normalized, range),
      channels: useOfChannels(normalized, indices, channels, { levels, range }),
    };
  };
}
