import type { FirstPosition } from '@tb/ar-head';
import { roundUp } from '@tb/backbone';
import { disposeTree, foldIn, type Key, permutation, randomKey, type Tree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { positionCount, type TokenBridgeConfig } from './config.js';
import type { TokenBridge } from './parameters.js';
import { dequantize } from './quantization.js';
import {
  markAll,
  mostConfident,
  type PlannedStep,
  planOfAllMasked,
  planOfOrders,
  planTensors,
  rasterOrders,
  sourcesOf,
  stepCounts,
} from './sampling-plan.js';
import {
  commitTokens,
  initialState,
  isStoredForSampling,
  type Predicted,
  type SamplingInputs,
  type SamplingState,
  samplingPrograms,
  storeForSampling,
} from './sampling-programs.js';

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
  /**
   * One seed per image. An image depends on its own seed and label alone, not on the others or its place among them; in
   * bfloat16 a batch of another size may round otherwise, and so draw other tokens.
   */
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
  const { config, labels, precision } = settings;
  const { height, width, channels } = config.latent;
  const positions = positionCount(config);
  const { orderKeys, state, ...inputs } = startTensors(settings);
  const stepOfPosition = new Int32Array(labels.length * positions);
  const run: Run = { ...settings, positions, inputs, state, stepOfPosition };
  const isStored = precision === 'fp32' || isStoredForSampling(settings.params);
  try {
    if (!isStored) run.params = storeForSampling(settings.params);
    const order = await resolveOrder(settings, orderKeys, positions);
    await (order === 'confidence' ? fillByConfidence(run) : fillInOrder(run, order));
    const { tokens, confidence } = run.state;
    const shape: [number, number, number, number] = [labels.length, height, width, channels];
    const probabilities = Float32Array.from(await confidence.data());
    const results = tf.tidy(() => ({
      tokens: tf.reshape<tf.Rank.R4>(tokens, shape),
      latents: tf.reshape<tf.Rank.R4>(dequantize(config.quantizer, tokens), shape),
    }));
    return { ...results, confidence: probabilities, stepOfPosition };
  } finally {
    tf.dispose([orderKeys, inputs, run.state] as tf.TensorContainer);
    if (run.params !== settings.params) disposeTree(run.params as unknown as Tree<tf.Tensor>);
  }
}

type Settings = Required<Omit<GenerateOptions, 'onProgress' | 'signal'>> &
  Pick<GenerateOptions, 'onProgress' | 'signal'>;

/** A run under way. */
type Run = Settings & {
  positions: number;
  inputs: Omit<SamplingInputs, 'plan'>;
  /** Replaced by every step. */
  state: SamplingState;
  stepOfPosition: Int32Array;
};

/** Everything is known beforehand, so the device gets it once and the host only starts the steps, some of them ahead. */
async function fillInOrder(run: Run, orders: readonly ArrayLike<number>[]): Promise<void> {
  const steps = planOfOrders(orders, stepCounts(run.numIter, run.positions));
  const longest = Math.max(...steps.map(({ before, after }) => before - after));
  const plan = planTensors(steps, run.positions, capacityFor(longest, run), run);
  const inputs = { plan, ...run.inputs };
  const started: { planned: PlannedStep; done: Promise<void> }[] = [];
  const finishOldest = async () => {
    const { planned, done } = started.shift()!;
    await done;
    await tellProgress(run, planned);
  };
  try {
    for (const planned of steps) {
      run.signal?.throwIfAborted();
      recordStep(run, planned);
      run.state = runFeatures(run, inputs, planned);
      const options = { ...tokenOptions(run), predictedCapacity: capacityFor(planned.before - planned.after, run) };
      run.state = samplingPrograms[run.precision].fillPositions(run.state, run.params, options, inputs);
      started.push({ planned, done: untilDone(run.state) });
      if (started.length > STEPS_AHEAD) await finishOldest();
    }
    while (started.length > 0) await finishOldest();
  } finally {
    await Promise.allSettled(started.map(({ done }) => done));
    tf.dispose(plan as unknown as tf.TensorContainer);
  }
}

/** Waits until the device has this state. It reads a copy of the row, whose own memory the next step takes. */
async function untilDone({ row }: SamplingState): Promise<void> {
  const copy = tf.tidy(() => tf.add(row, tf.scalar(0, 'int32')));
  await copy.data().finally(() => copy.dispose());
}

/** Predicts all that is masked, and keeps the most confident (Fig. 8): the host chooses after every step. */
async function fillByConfidence(run: Run): Promise<void> {
  const known = run.labels.map(() => new Uint8Array(run.positions));
  for (const counts of stepCounts(run.numIter, run.positions)) {
    run.signal?.throwIfAborted();
    const planned = planOfAllMasked(known, counts);
    const chosen = await fillMostConfident(run, planned);
    markAll(known, chosen);
    recordStep(run, { ...planned, predicted: chosen });
    await tellProgress(run, planned);
  }
}

/** One step of it. @returns the positions that were filled, of every image */
async function fillMostConfident(run: Run, planned: PlannedStep): Promise<Int32Array[]> {
  const { before, after } = planned;
  const capacity = capacityFor(before, run);
  const plan = planTensors([planned], run.positions, capacity, run);
  const inputs = { plan, ...run.inputs };
  let predicted: Predicted | undefined;
  let sources: tf.Tensor2D | undefined;
  try {
    run.state.row.dispose();
    run.state = { ...run.state, row: tf.scalar(0, 'int32') }; // the plan is of this step alone
    run.state = runFeatures(run, inputs, planned);
    const options = { ...tokenOptions(run), predictedCapacity: capacity };
    predicted = samplingPrograms[run.precision].predictTokens(run.state, run.params, options, inputs);
    const confidence = (await predicted.confidence.data()) as Float32Array;
    const kept = mostConfident(planned.predicted, before - after, confidence, capacity);
    sources = sourcesOf(planned.predicted, kept, run.positions);
    run.state = commitTokens(run.state, predicted, sources);
    return planned.predicted.map((list, image) => kept[image].map((slot) => list[slot]));
  } finally {
    tf.dispose([plan, predicted, sources] as tf.TensorContainer);
  }
}

/** The backbone's part of a step; gives the next state. */
function runFeatures(run: Run, inputs: SamplingInputs, { visible }: PlannedStep): SamplingState {
  const { config, positions, cfg, staticShapes, state, params, precision } = run;
  const room = Math.max(1, visible[0].length); // no tensor without elements
  const visibleCapacity = staticShapes ? Math.min(positions, roundUp(room, Math.ceil(positions / 4))) : room;
  const options = { config, guided: cfg !== 1, visibleCapacity };
  return samplingPrograms[precision].predictFeatures(state, params, options, inputs);
}

function tokenOptions({ config, temperature, firstPosition }: Run) {
  return { config, greedy: temperature === 0, firstPosition };
}

/** Room for so many predictions: with static shapes powers of two, since every size is a program of its own. */
function capacityFor(count: number, { staticShapes }: Settings): number {
  return staticShapes ? Math.max(FEWEST_PREDICTED, 2 ** Math.ceil(Math.log2(count))) : count;
}

/** A few positions more cost nothing, another program would take half a minute to compile. */
const FEWEST_PREDICTED = 8;

/** Steps that a device has before it while the host waits for one, so that it is never idle. */
const STEPS_AHEAD = 2;

function recordStep({ stepOfPosition, positions }: Run, { step, predicted }: PlannedStep): void {
  predicted.forEach((list, image) => {
    for (const position of list) stepOfPosition[image * positions + position] = step;
  });
}

async function tellProgress({ onProgress, signal, numIter, positions }: Run, { step, after }: PlannedStep) {
  onProgress?.({ step, numIter, known: positions - after });
  if (onProgress || signal) await new Promise((resolve) => setTimeout(resolve)); // let events in
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

function startTensors({ labels, seeds, temperature, config }: Settings) {
  return tf.tidy(() => {
    const keys: Key = tf.stack(seeds.map((seed) => randomKey(seed)));
    return {
      labels: tf.tensor1d(
        labels.map((label) => label ?? 0),
        'int32',
      ),
      unlabelled: tf.tensor1d(labels.map((label) => (label === null ? 1 : 0))),
      temperature: tf.scalar(temperature),
      orderKeys: foldIn(keys, 0),
      noiseKeys: foldIn(keys, 1),
      state: initialState(labels.length, config),
    };
  });
}

async function resolveOrder(
  { order, labels }: Settings,
  keys: Key,
  positions: number,
): Promise<readonly ArrayLike<number>[] | 'confidence'> {
  if (order === 'confidence') return order;
  if (order === 'raster') return rasterOrders(labels.length, positions);
  if (order === 'random') {
    const drawn = permutation(keys, positions);
    const orders = await drawn.data<'int32'>().finally(() => drawn.dispose());
    return labels.map((_, image) => orders.slice(image * positions, (image + 1) * positions) as Int32Array);
  }
  if (typeof order === 'string')
    throw new RangeError(
      `generate: order must be 'random', 'raster', 'confidence' or a list for each image, got ${order}`,
    );
  const isPosition = (p: number) => Number.isInteger(p) && p >= 0 && p < positions;
  const fits = (each: ArrayLike<number>) =>
    each.length === positions && new Set(Array.from(each).filter(isPosition)).size === positions;
  if (order.length !== labels.length || !order.every(fits))
    throw new Error(
      `generate: order must hold a permutation of 0 … ${positions - 1} for each of ${labels.length} images`,
    );
  return order;
}
