import type { FirstPosition } from '@tb/ar-head';
import { guidanceScale, maskedAfterStep, positionLists, roundUp } from '@tb/backbone';
import { disposeTree, foldIn, type Key, permutation, randomKey, type Tree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { positionCount, type TokenBridgeConfig } from './config.js';
import type { TokenBridge } from './parameters.js';
import { dequantize } from './quantization.js';
import { commitTokens, samplingPrograms, storedForProducts } from './sampling-programs.js';
import {
  candidatePositions,
  initialState,
  mostConfident,
  type PositionOrder,
  rasterOrders,
  recordStep,
  type SamplingState,
  sourcesOf,
  visiblePositions,
} from './sampling-state.js';

// N = images, S = positions, h, w = height and width of the latent grid, C = channels

export type GenerateProgress = {
  /** The step just finished, from 0, of `numIter`. */
  step: number;
  numIter: number;
  /** Positions of an image that are known by now, of h·w. */
  known: number;
};

export type GenerateOptions = {
  params: TokenBridge;
  config: TokenBridgeConfig;
  /** The class of each image, or `null` for an image without one. */
  labels: readonly (number | null)[];
  /** One seed per image. An image depends on its own seed and label alone, not on the others or its place among them. */
  seeds: readonly (number | bigint)[];
  /** Steps of the cosine schedule, at least 1; default 64. More than h·w give the same as h·w. */
  numIter?: number;
  /** Guidance scale; 1 (the default) is none and half the work. Tab. 4: 3.1 for L, 3.45 for H. */
  cfg?: number;
  /** How the scale grows with the known positions; default `linear`, from about 1 to about `cfg`. */
  cfgSchedule?: 'linear' | 'constant';
  /** Of the channels' softmax; default 1, and 0 takes the likeliest. Tab. 4: 0.97 for L, 0.91 for H. */
  temperature?: number;
  /** Default `random`. An order of one's own per image lists the positions as they stay masked: it is filled from its end. */
  order?: 'random' | 'raster' | 'confidence' | readonly ArrayLike<number>[];
  /** See `FirstPosition` of @tb/ar-head; default `sampling`, as released. */
  firstPosition?: FirstPosition;
  /** Of matrix products, where the engine has a choice (xla): default `bf16`. */
  precision?: 'bf16' | 'fp32';
  /** Pad lists of positions to few lengths. Default: where programs are compiled (xla). The result is the same. */
  staticShapes?: boolean;
  /** Called after every step. */
  onProgress?: (progress: GenerateProgress) => void;
  /** Stops before the next step with the signal's reason. */
  signal?: AbortSignal;
};

export type Generated = {
  /** int32 [N, h, w, C], each in [0, levels). */
  tokens: tf.Tensor4D;
  /** De-quantized, float32 [N, h, w, C]; divided by 0.2325 they are the VAE's. */
  latents: tf.Tensor4D;
  /** Geometric mean over the channels of the probability of a position's tokens when it was filled, in (0, 1]; [N·h·w]. */
  confidence: Float32Array;
  /** The step that filled a position; [N·h·w]. */
  stepOfPosition: Int32Array;
};

/**
 * Samples images' latents: from nothing known, each step predicts some positions from the known ones (Sec. 3.3).
 *
 * @returns tensors that the caller disposes
 * @throws Error if an option is out of range; the signal's reason if it is aborted
 */
export async function generate(options: GenerateOptions): Promise<Generated> {
  const settings = withDefaults(options);
  const { config, labels, numIter, precision } = settings;
  const positions = positionCount(config);
  const state = initialState(labels.length, positions);
  const { height, width, channels } = config.latent;
  const fixed = startTensors(settings);
  const params = precision === 'bf16' ? storedForProducts(settings.params) : undefined;
  let tokens: tf.Tensor3D = tf.zeros([labels.length, positions, channels], 'int32');
  let pending = Promise.resolve();
  try {
    const order = await resolveOrder(settings, fixed.orderKeys, positions);
    for (let step = 0, masked = positions; masked > 0; step++) {
      settings.signal?.throwIfAborted();
      const after = maskedAfterStep(step, numIter, positions, masked);
      if (after === masked) continue;
      const run = runStep({ ...settings, params: params ?? settings.params }, fixed, state, tokens, {
        step,
        masked,
        after,
        order,
      });
      tokens = await run.tokens;
      // Reading the step before this one keeps the device busy while the host waits.
      await (settings.onProgress ? run.finished : pending);
      pending = run.finished;
      masked = after;
      settings.onProgress?.({ step, numIter, known: positions - masked });
      if (settings.onProgress || settings.signal) await new Promise((resolve) => setTimeout(resolve)); // let events in
    }
    await pending;
    const shape: [number, number, number, number] = [labels.length, height, width, channels];
    const latents = tf.tidy(() => tf.reshape<tf.Rank.R4>(dequantize(config.quantizer, tokens), shape));
    return {
      tokens: tf.reshape(tokens, shape),
      latents,
      confidence: state.confidence,
      stepOfPosition: state.stepOfPosition,
    };
  } finally {
    await pending.catch(() => undefined); // told above
    tf.dispose([tokens, fixed]);
    if (params) disposeTree(params as unknown as Tree<tf.Tensor>);
  }
}

type Settings = Required<Omit<GenerateOptions, 'onProgress' | 'signal'>> &
  Pick<GenerateOptions, 'onProgress' | 'signal'>;
type StartTensors = ReturnType<typeof startTensors>;
type Step = { step: number; masked: number; after: number; order: PositionOrder };

/**
 * One step. The new tokens come at once when the order is known beforehand; by confidence they wait for the device.
 *
 * @returns the tokens, and when the state's confidences are up to date
 */
function runStep(
  settings: Settings,
  fixed: StartTensors,
  state: SamplingState,
  tokens: tf.Tensor3D,
  { step, masked, after, order }: Step,
): { tokens: Promise<tf.Tensor3D>; finished: Promise<void> } {
  const { positions } = state;
  const candidates = candidatePositions(state, order, masked, after);
  const count = candidates[0].length;
  const capacity = settings.staticShapes ? Math.max(FEWEST_PREDICTED, powerOfTwo(count)) : count;
  const predicted = predict(settings, fixed, state, tokens, candidates, capacity, step, after);
  const all = candidates.map((list) => list.map((_, slot) => slot));
  const confidence = predicted.confidence.data<'float32'>();

  const commit = (kept: number[][]) => {
    recordStep(state, step, candidates, kept);
    const sources = tf.tensor2d(sourcesOf(state, candidates, kept), [state.images, positions], 'int32');
    const next = commitTokens(tokens, predicted.tokens, sources);
    tf.dispose([sources, predicted.tokens]);
    return next;
  };
  const keep = (values: Float32Array) =>
    order === 'confidence' ? mostConfident(candidates, masked - after, values, capacity) : all;
  const committed =
    order === 'confidence' ? confidence.then((values) => commit(keep(values))) : Promise.resolve(commit(all));
  const finished = confidence.then((values) => {
    predicted.confidence.dispose();
    keep(values).forEach((slots, image) => {
      for (const slot of slots)
        state.confidence[image * positions + candidates[image][slot]] = values[image * capacity + slot];
    });
  });
  return { tokens: committed, finished };
}

/** The model's part of a step. */
function predict(
  { params, config, cfg, cfgSchedule, temperature, firstPosition, precision, staticShapes }: Settings,
  { labels, unlabelled, noiseKeys }: StartTensors,
  state: SamplingState,
  tokens: tf.Tensor3D,
  candidates: number[][],
  capacity: number,
  step: number,
  after: number,
): { tokens: tf.Tensor3D; confidence: tf.Tensor2D } {
  return tf.tidy(() => {
    const { positions } = state;
    const known = visiblePositions(state);
    const room = Math.max(1, known[0].length); // no tensor without elements
    const visible = positionLists(known, staticShapes ? roundUp(room, Math.ceil(positions / 4)) : room);
    const scale = tf.scalar(guidanceScale(cfgSchedule, cfg, positions, after));
    const inputs = { tokens, visible, labels, unlabelled, scale };
    const { predictFeatures, predictTokens } = samplingPrograms[precision];
    const features = predictFeatures(params, { config, guided: cfg !== 1 }, inputs);
    return predictTokens(
      params,
      { config, greedy: temperature === 0, firstPosition },
      {
        features,
        positions: positionLists(candidates, capacity),
        keys: noiseKeys,
        step: tf.scalar(step, 'int32'),
        temperature: tf.scalar(temperature),
      },
    );
  });
}

function withDefaults(options: GenerateOptions): Settings {
  const settings = {
    numIter: 64,
    cfg: 1,
    cfgSchedule: 'linear' as const,
    temperature: 1,
    order: 'random' as const,
    firstPosition: 'sampling' as const,
    precision: 'bf16' as const,
    staticShapes: tf.getBackend() === 'xla',
    ...options,
  };
  const { config, labels, seeds, numIter, cfg, temperature } = settings;
  const fail = (what: string, got: unknown) => {
    throw new RangeError(`generate: ${what}, got ${got}`);
  };
  if (labels.length === 0) fail('labels must hold at least one image', 'none');
  if (seeds.length !== labels.length) fail(`seeds must be ${labels.length}, one per label`, seeds.length);
  for (const label of labels) {
    if (label !== null && !(Number.isInteger(label) && label >= 0 && label < config.classes))
      fail(`labels must be null or in [0, ${config.classes})`, label);
  }
  if (!Number.isInteger(numIter) || numIter < 1) fail('numIter must be a positive integer', numIter);
  if (!Number.isFinite(cfg)) fail('cfg must be a number', cfg);
  if (!['linear', 'constant'].includes(settings.cfgSchedule))
    fail("cfgSchedule must be 'linear' or 'constant'", settings.cfgSchedule);
  if (!(temperature >= 0 && temperature < Infinity)) fail('temperature must be 0 or positive', temperature);
  return settings;
}

function startTensors({ labels, seeds }: Settings) {
  return tf.tidy(() => {
    const keys: Key = tf.stack(seeds.map((seed) => randomKey(seed)));
    return {
      labels: tf.tensor1d(
        labels.map((label) => label ?? 0),
        'int32',
      ),
      unlabelled: tf.tensor1d(labels.map((label) => (label === null ? 1 : 0))),
      orderKeys: foldIn(keys, 0),
      noiseKeys: foldIn(keys, 1),
    };
  });
}

async function resolveOrder({ order, labels }: Settings, keys: Key, positions: number): Promise<PositionOrder> {
  if (order === 'confidence') return order;
  if (order === 'raster') return rasterOrders(labels.length, positions);
  if (order === 'random') {
    const drawn = permutation(keys, positions);
    const orders = await drawn.data<'int32'>();
    drawn.dispose();
    return labels.map((_, image) => orders.slice(image * positions, (image + 1) * positions) as Int32Array);
  }
  const fits = (each: ArrayLike<number>) =>
    each.length === positions && new Set(Array.from(each).filter((p) => p >= 0 && p < positions)).size === positions;
  if (order.length !== labels.length || !order.every(fits))
    throw new Error(
      `generate: order must hold a permutation of 0 … ${positions - 1} for each of ${labels.length} images`,
    );
  return order;
}

/** With static shapes: a few positions more cost nothing, another program would take half a minute to compile. */
const FEWEST_PREDICTED = 8;

function powerOfTwo(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}
