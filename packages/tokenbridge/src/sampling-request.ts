import type { FirstPosition } from '@tb/ar-head';
import { rasterOrder } from '@tb/backbone';
import { backendTraits, foldIn, type Key, permutation, randomKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertKnown, type KnownTokens } from './known-tokens.js';
import { type ImageModelConfig, isMar, type ParametersOf, positionCount, type TokenBridgeConfig } from './model.js';
import type { StoredParameters } from './sampling-programs.js';

// What a caller asks of `generate`: options, their defaults and their checks.

/** How far sampling is. */
export type GenerateProgress = {
  /** Positions that are known so far, of all images together. */
  known: number;
  /** Positions of all images together. */
  positions: number;
};

/** Images in the middle of sampling. */
export type GeneratePreview = {
  /** Steps that are done. */
  step: number;
  /** All steps that fill something: `steps`, or the positions to fill where these are fewer. */
  steps: number;
  /** De-quantized tokens so far, 0 where masked, float32 [N, height, width, C]; disposed once `show` is finished. */
  latents: tf.Tensor4D;
  /** 1 where a position is known, 0 where it is masked; [N·S]. */
  isKnown: Uint8Array;
  /** Probability of each position's tokens, as in `Generated`; 0 where masked; [N·S]. */
  confidence: Float32Array;
  /** The step that filled each position; −1 where it is masked or was given; [N·S]. */
  stepOfPosition: Int32Array;
};

/** When to show images while they are sampled. */
export type PreviewOptions<Preview> = {
  /** Steps between two previews, at least 1. There is none after the last step. */
  every: number;
  /** Sampling waits for what it returns, on a GPU after starting the next steps. */
  show: (preview: Preview) => void | Promise<void>;
};

/** Options of `generate`. */
export type GenerateOptions<Config extends ImageModelConfig = TokenBridgeConfig> = {
  /** The model's parameters, or what `storeForSampling` made of them. */
  params: ParametersOf<Config> | StoredParameters<ParametersOf<Config>>;
  config: Config;
  /** The class of each image, or `null` for an image without one. */
  labels: readonly (number | null)[];
  /**
   * One seed per image. An image depends only on its own seed and label, not on the others or its place among them. (In
   * bfloat16 a batch of another size may round differently, and so draw other tokens.)
   */
  seeds: readonly (number | bigint)[];
  /** Steps of the cosine schedule, at least 1; default 64. More than the number of positions give the same as that number. */
  steps?: number;
  /** Guidance scale. 1 (the default) means no guidance and half the work. Tab. 4: 3.1 for L, 3.45 for H. */
  guidanceScale?: number;
  /** How the scale grows with the known positions; default `linear`, from about 1 to about `guidanceScale`. */
  guidanceSchedule?: 'linear' | 'constant';
  /**
   * Temperature of each channel's softmax; default 1, and 0 takes the likeliest token. Tab. 4: 0.97 for L, 0.91 for H. For MAR the
   * factor of the noise that each denoising step adds.
   */
  temperature?: number;
  /** For MAR, the denoising steps of each position, in [2, 1000]; default 100. */
  denoisingSteps?: number;
  /**
   * In which order positions are filled: randomly by the image's seed (default), row by row, or the most confident first
   * (Fig. 8). A custom order per image lists all positions; it is filled from its end.
   */
  order?: 'random' | 'raster' | 'confidence' | readonly ArrayLike<number>[];
  /** See `FirstPosition` of @tb/ar-head; default `sampling`, as released. */
  firstPosition?: FirstPosition;
  /** Precision of matrix products, where the backend has a choice (xla); default `bf16`. */
  precision?: 'bf16' | 'fp32';
  /** Pad lists of positions to few lengths. Default: where programs are compiled (xla). The result is the same. */
  staticShapes?: boolean;
  /** Given tokens, for editing, not for MAR: the cosine schedule then starts with the other positions. Default: none. */
  known?: KnownTokens;
  /** Shows the images every few steps. They do not change by it. Default: no previews. */
  preview?: PreviewOptions<GeneratePreview>;
  /** Called after every step. */
  onProgress?: (progress: GenerateProgress) => void;
  /** Stops before the next step with the signal's reason. */
  signal?: AbortSignal;
};

/** Options with all defaults filled in. */
export type SamplingRequest = Required<Omit<AllOptions, Optional>> & Pick<AllOptions, Optional>;

type AllOptions = GenerateOptions<ImageModelConfig>;

type Optional = 'known' | 'preview' | 'onProgress' | 'signal';

/** Fills in defaults. @throws RangeError naming the option that is out of range */
export function requestOf<Config extends ImageModelConfig>(options: GenerateOptions<Config>): SamplingRequest {
  const request: SamplingRequest = {
    steps: 64,
    guidanceScale: 1,
    guidanceSchedule: 'linear',
    temperature: 1,
    denoisingSteps: 100,
    order: 'random',
    firstPosition: 'sampling',
    precision: 'bf16',
    staticShapes: backendTraits().compilesPerShape,
    ...(options as AllOptions),
  };
  const { config, labels, seeds, steps, guidanceScale, guidanceSchedule, temperature } = request;
  const fail = (rule: string, got: unknown) => {
    throw new RangeError(`generate: ${rule}, got ${got}`);
  };
  if (labels.length === 0) fail('labels must hold at least one image', 'none');
  if (seeds.length !== labels.length) fail(`seeds must be ${labels.length}, one per label`, seeds.length);
  for (const label of labels) {
    if (label !== null && !(Number.isInteger(label) && label >= 0 && label < config.classes))
      fail(`labels must be null or in [0, ${config.classes})`, label);
  }
  if (!Number.isInteger(steps) || steps < 1) fail('steps must be a positive integer', steps);
  if (!Number.isFinite(guidanceScale)) fail('guidanceScale must be a number', guidanceScale);
  if (!['linear', 'constant'].includes(guidanceSchedule))
    fail("guidanceSchedule must be 'linear' or 'constant'", guidanceSchedule);
  if (!(temperature >= 0 && temperature < Infinity)) fail('temperature must be 0 or positive', temperature);
  const { every } = request.preview ?? { every: 1 };
  if (!Number.isInteger(every) || every < 1) fail('preview.every must be a positive integer', every);
  assertOrder(request);
  if (isMar(config)) assertForMar(request);
  else if (request.known) assertKnown(request.known, labels.length, config);
  return request;
}

function assertForMar({ order, known, denoisingSteps }: SamplingRequest): void {
  if (order === 'confidence')
    throw new RangeError("generate: order must not be 'confidence' for MAR, whose head gives no probabilities");
  if (known) throw new RangeError('generate: known must be left out for MAR, which has no tokens');
  if (!Number.isInteger(denoisingSteps) || denoisingSteps < 2 || denoisingSteps > 1000)
    throw new RangeError(`generate: denoisingSteps must be an integer in [2, 1000], got ${denoisingSteps}`);
}

function assertOrder({ order, labels, config }: SamplingRequest): void {
  if (order === 'random' || order === 'raster' || order === 'confidence') return;
  if (typeof order === 'string')
    throw new RangeError(
      `generate: order must be 'random', 'raster', 'confidence' or a list for each image, got ${order}`,
    );
  const positions = positionCount(config);
  const isPosition = (p: number) => Number.isInteger(p) && p >= 0 && p < positions;
  const isPermutation = (list: ArrayLike<number>) =>
    list.length === positions && new Set(Array.from(list).filter(isPosition)).size === positions;
  if (order.length !== labels.length || !order.every(isPermutation))
    throw new Error(
      `generate: order must hold a permutation of 0 … ${positions - 1} for each of ${labels.length} images`,
    );
}

/** The keys of every image, by its seed: one for its order, one for the noise of its draws; [N, 2] each. */
export function imageKeys(seeds: readonly (number | bigint)[]): { orderKeys: Key; noiseKeys: Key } {
  return tf.tidy(() => {
    const keys: Key = tf.stack(seeds.map((seed) => randomKey(seed)));
    return { orderKeys: foldIn(keys, 0), noiseKeys: foldIn(keys, 1) };
  });
}

/** The order of each image's positions, which is filled from its end. */
export async function ordersOf(
  order: 'random' | 'raster' | readonly ArrayLike<number>[],
  orderKeys: Key,
  { labels, config }: SamplingRequest,
): Promise<readonly ArrayLike<number>[]> {
  const positions = positionCount(config);
  if (order === 'raster') return labels.map(() => rasterOrder(positions));
  if (order !== 'random') return order;
  const drawn = permutation(orderKeys, positions);
  const orders = await drawn.data<'int32'>().finally(() => drawn.dispose());
  return labels.map((_, image) => orders.slice(image * positions, (image + 1) * positions) as Int32Array);
}
