import { roundUp } from '@tb/backbone';
import { disposeTree, type Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { fillByDenoising } from './denoising-programs.js';
import { knownFlags } from './known-tokens.js';
import {
  type ImageModel,
  type ImageModelConfig,
  isMar,
  type MarConfig,
  modelOf,
  positionCount,
  type TokenBridgeConfig,
} from './model.js';
import { prepareSteps } from './prepare-steps.js';
import { valuesOf } from './quantization.js';
import {
  markAll,
  mostConfident,
  type PlannedStep,
  planOfAllMasked,
  planOfOrders,
  planTensors,
  sourcesOf,
  stepCounts,
} from './sampling-plan.js';
import { disposePreview, type StartedPreview, showPreview, startPreview } from './sampling-preview.js';
import {
  commitTokens,
  initialState,
  type Predicted,
  type SamplingInputs,
  type SamplingState,
  samplingPrograms,
  storeForSampling,
  type TokenOptions,
} from './sampling-programs.js';
import { type GenerateOptions, imageKeys, ordersOf, requestOf, type SamplingRequest } from './sampling-request.js';

// N = images, S = positions, C = channels
//
// The sampler of reference-sampler.ts, arranged so that the device is never idle. A call goes through three stages:
//
// Request (sampling-request.ts): options, defaults, checks.
// Plan (sampling-plan.ts): which positions are known before each step and which it predicts. Except by confidence, all of it is
//   known beforehand. So it is sent to the device once, with the guidance scales and the noise keys, and each step reads its
//   row; the host sends nothing between steps and starts them ahead of the device.
// Fill (below, with the programs of sampling-programs.ts): in the planned order, or the most confident first.
//
// Capacities. A compiled program has static shapes, so lists of positions are padded with −1 to few lengths: quarters of the
// grid for known positions, powers of two from 8 for predicted ones. 64 steps then need five programs. Padding changes no result.
//
// Donation. Tokens, confidences, features and the number of the plan's row are one state. Each step consumes the state and
// returns the next in the same memory, because a GPU replays recorded kernels only if all their addresses stay the same.

/** What `generate` sampled. */
export type Generated<Config extends ImageModelConfig = TokenBridgeConfig> = {
  /** int32 [N, height, width, C], each in [0, levels); `null` for MAR, which has no tokens. */
  tokens: Config extends MarConfig ? null : tf.Tensor4D;
  /** De-quantized, float32 [N, height, width, C]; divided by the autoencoder's `latentScale` they are its latents. */
  latents: tf.Tensor4D;
  /**
   * Probability of each position's tokens when it was filled, as the geometric mean over its channels, in (0, 1]; 1 where they
   * were given; [N·S]. NaN for MAR, which has no probabilities.
   */
  confidence: Float32Array;
  /** The step that filled each position, −1 where its tokens were given; [N·S]. */
  stepOfPosition: Int32Array;
};

/**
 * Samples the latents of images: starting with nothing known, each step predicts some positions from the known ones (Sec. 3.3).
 *
 * @returns tensors that the caller disposes
 * @throws Error if an option is out of range; the signal's reason if it is aborted
 */
export async function generate<Config extends ImageModelConfig>(
  options: GenerateOptions<Config>,
): Promise<Generated<Config>> {
  const request = requestOf(options);
  const { params, isOwned } = parametersOf(request);
  let run: Run | undefined;
  try {
    run = startRun(request, params);
    if (request.order === 'confidence') await fillByConfidence(run);
    else await fillInOrder(run, await ordersOf(request.order, run.orderKeys, request));
    return (await resultOf(run)) as Generated<Config>;
  } finally {
    if (run) disposeTree([run.orderKeys, run.inputs, run.state]);
    if (isOwned) disposeTree(params);
  }
}

/** One call of `generate`. */
type Run = {
  request: SamplingRequest;
  params: ImageModel;
  /** S. */
  positions: number;
  orderKeys: Key;
  inputs: Omit<SamplingInputs, 'plan'>;
  /** Replaced by every step. */
  state: SamplingState;
  /** 1 where a position is known after the steps that were started; [N·S]. */
  isKnown: Uint8Array;
  stepOfPosition: Int32Array;
};

function parametersOf({ params, precision }: SamplingRequest): { params: ImageModel; isOwned: boolean } {
  if ('bfloat16' in params) return { params: params.bfloat16, isOwned: false };
  if (precision === 'fp32') return { params, isOwned: false };
  return { params: storeForSampling(params).bfloat16, isOwned: true };
}

function startRun(request: SamplingRequest, params: ImageModel): Run {
  const { labels, seeds, temperature, config, known, guidanceScale } = request;
  const positions = positionCount(config);
  const { orderKeys, state, ...inputs } = tf.tidy(() => ({
    ...imageKeys(seeds),
    labels: tf.tensor1d(
      labels.map((label) => label ?? 0),
      'int32',
    ),
    unlabelled: tf.tensor1d(labels.map((label) => (label === null ? 1 : 0))),
    temperature: tf.scalar(temperature),
    state: initialState(labels.length, config, { known, guided: guidanceScale !== 1 }),
  }));
  return {
    request,
    params,
    positions,
    orderKeys,
    inputs,
    state,
    isKnown: knownFlags(known, labels.length * positions),
    stepOfPosition: new Int32Array(labels.length * positions).fill(-1),
  };
}

/** The known positions of every image, [S] each: parts of the memory of `run.isKnown`. */
const knownOf = ({ request, isKnown, positions }: Run) =>
  request.labels.map((_, image) => isKnown.subarray(image * positions, (image + 1) * positions));

/** The steps of a run. All images have as many masked positions. */
function stepsOf(run: Run) {
  const masked = knownOf(run)[0].filter((flag) => flag === 0).length;
  return stepCounts(run.request.steps, masked);
}

async function resultOf({ request, state, stepOfPosition }: Run): Promise<Generated<ImageModelConfig>> {
  const { config, labels } = request;
  const { height, width, channels } = config.latent;
  const shape: [number, number, number, number] = [labels.length, height, width, channels];
  const confidence = Float32Array.from(await state.confidence.data());
  if (isMar(config)) confidence.fill(Number.NaN);
  const [latents, tokens = null] = tf.tidy(() => [
    tf.reshape<tf.Rank.R4>(valuesOf(config, state.tokens), shape),
    ...(isMar(config) ? [] : [tf.reshape<tf.Rank.R4>(state.tokens, shape)]),
  ]);
  return { tokens, latents, confidence, stepOfPosition };
}

/** Fills positions in given orders. Everything is planned beforehand, so the host starts some steps ahead of the device. */
async function fillInOrder(run: Run, orders: readonly ArrayLike<number>[]): Promise<void> {
  const { request, positions } = run;
  const steps = planOfOrders(orders, stepsOf(run), knownOf(run));
  const longest = Math.max(...steps.map(({ before, after }) => before - after));
  const plan = planTensors(steps, positions, capacityForPredicted(longest, request), request);
  const inputs = { plan, ...run.inputs };
  const started: { step: PlannedStep; preview?: StartedPreview; done: Promise<void> }[] = [];
  const finishOldest = async () => {
    const { step, done } = started[0];
    await done;
    const { preview } = started.shift()!;
    await reportProgress(run, step);
    await showPreview(request, preview);
  };
  const programs = prepareSteps(steps, (step) => prepareStep(run, inputs, step));
  try {
    for (const [index, step] of steps.entries()) {
      await programs.untilReady(step);
      request.signal?.throwIfAborted();
      recordStep(run, step);
      run.state = predictFeatures(run, inputs, step);
      run.state = fillPositions(run, inputs, step);
      const preview = startPreview(request, run.state, run, index + 1, steps.length);
      started.push({ step, preview, done: untilComputed(run.state) });
      if (started.length > STEPS_AHEAD) await finishOldest();
    }
    while (started.length > 0) await finishOldest();
  } finally {
    programs.stop();
    await Promise.allSettled(started.map(({ done }) => done));
    for (const { preview } of started) disposePreview(preview);
    disposeTree(plan);
  }
}

/** How many steps wait on the device while the host waits for one, so that the device is never idle. */
const STEPS_AHEAD = 2;

/** Waits until the device has computed a state. Reads a copy of the row: the next step consumes the state itself. */
async function untilComputed({ row }: SamplingState): Promise<void> {
  const copy = tf.tidy(() => tf.add(row, tf.scalar(0, 'int32')));
  await copy.data().finally(() => copy.dispose());
}

/** Predicts everything that is masked in every step, and keeps the most confident predictions (Fig. 8). */
async function fillByConfidence(run: Run): Promise<void> {
  const { request } = run;
  const steps = stepsOf(run);
  for (const [index, counts] of steps.entries()) {
    request.signal?.throwIfAborted();
    const step = planOfAllMasked(knownOf(run), counts);
    recordStep(run, { ...step, predicted: await fillMostConfident(run, step) });
    await reportProgress(run, step);
    await showPreview(request, startPreview(request, run.state, run, index + 1, steps.length));
  }
}

/** Runs one step whose positions the host chooses by their confidence. @returns those positions, of every image */
async function fillMostConfident(run: Run, step: PlannedStep): Promise<Int32Array[]> {
  const { request, positions } = run;
  const { before, after, predicted: candidates } = step;
  const capacity = capacityForPredicted(before, request);
  const plan = planTensors([step], positions, capacity, request);
  const inputs = { plan, ...run.inputs };
  let predicted: Predicted | undefined;
  let sources: tf.Tensor2D | undefined;
  try {
    run.state.row.dispose();
    run.state = { ...run.state, row: tf.scalar(0, 'int32') }; // the plan has only this step
    run.state = predictFeatures(run, inputs, step);
    const model = modelOf(run.params, request.config);
    if (model.isMar) throw new Error('a diffusion head has no confidence'); // requestOf refuses it
    const options = tokenOptions(request, model.config, before);
    predicted = samplingPrograms[request.precision].predictTokens(run.state, model.params, options, inputs);
    const confidence = (await predicted.confidence.data()) as Float32Array;
    const kept = mostConfident(candidates, before - after, confidence, capacity);
    sources = sourcesOf(candidates, kept, positions);
    run.state = commitTokens(run.state, predicted, sources);
    return candidates.map((list, image) => kept[image].map((slot) => list[slot]));
  } finally {
    tf.dispose([plan, predicted, sources] as tf.TensorContainer);
  }
}

/** Runs the backbone's part of a step. @returns the next state */
function predictFeatures({ request, params, positions, state }: Run, inputs: SamplingInputs, { visible }: PlannedStep) {
  const options = featureOptions(request, visible[0].length, positions);
  return samplingPrograms[request.precision].predictFeatures(state, params, options, inputs);
}

function featureOptions(request: SamplingRequest, visible: number, positions: number) {
  const { config, guidanceScale } = request;
  return { config, guided: guidanceScale !== 1, visibleCapacity: capacityForVisible(visible, positions, request) };
}

/** The two programs of a step. */
function prepareStep(run: Run, inputs: SamplingInputs, { before, after, visible }: PlannedStep) {
  const { request, params, positions } = run;
  const predicted = before - after;
  const features = featureOptions(request, visible[0].length, positions);
  const model = modelOf(params, request.config);
  const { predictFeatures: featureProgram, fillPositions: fillProgram } = samplingPrograms[request.precision];
  return {
    key: `${features.visibleCapacity}, ${capacityForPredicted(predicted, request)}`,
    prepare: () =>
      Promise.all([
        featureProgram.prepare(run.state, params, features, inputs),
        // The programs of a diffusion head are few and small: they compile when they are first called.
        ...(model.isMar
          ? []
          : [fillProgram.prepare(run.state, model.params, tokenOptions(request, model.config, predicted), inputs)]),
      ]),
    cancel() {
      featureProgram.cancel();
      fillProgram.cancel();
    },
  };
}

/** Runs the head's part of a step. @returns the next state */
function fillPositions(
  { request, params, state }: Run,
  inputs: SamplingInputs,
  { before, after }: PlannedStep,
): SamplingState {
  const { precision, guidanceScale, denoisingSteps } = request;
  const model = modelOf(params, request.config);
  if (!model.isMar) {
    const options = tokenOptions(request, model.config, before - after);
    return samplingPrograms[precision].fillPositions(state, model.params, options, inputs);
  }
  const predictedCapacity = capacityForPredicted(before - after, request);
  const options = { config: model.config, guided: guidanceScale !== 1, predictedCapacity, denoisingSteps };
  return fillByDenoising(state, model.params, options, inputs, precision);
}

function tokenOptions(request: SamplingRequest, config: TokenBridgeConfig, predicted: number): TokenOptions {
  const { temperature, firstPosition } = request;
  return {
    config,
    greedy: temperature === 0,
    firstPosition,
    predictedCapacity: capacityForPredicted(predicted, request),
  };
}

/** Length of the list of known positions: at least 1, since tensors without elements are avoided; a multiple of S/4. */
function capacityForVisible(count: number, positions: number, { staticShapes }: SamplingRequest): number {
  const least = Math.max(1, count);
  return staticShapes ? Math.min(positions, roundUp(least, Math.ceil(positions / 4))) : least;
}

/** Length of the list of predictions: a power of two, since each length needs another program. */
function capacityForPredicted(count: number, { staticShapes }: SamplingRequest): number {
  return staticShapes ? Math.max(FEWEST_PREDICTED, 2 ** Math.ceil(Math.log2(count))) : count;
}

/** A few more positions cost nothing; one more program would take half a minute to compile. */
const FEWEST_PREDICTED = 8;

function recordStep(run: Run, { step, predicted }: PlannedStep): void {
  const { stepOfPosition, positions } = run;
  markAll(knownOf(run), predicted);
  predicted.forEach((list, image) => {
    for (const position of list) stepOfPosition[image * positions + position] = step;
  });
}

async function reportProgress({ request, positions }: Run, { after }: PlannedStep): Promise<void> {
  const { onProgress, signal, labels } = request;
  onProgress?.({ known: labels.length * (positions - after), positions: labels.length * positions });
  if (onProgress || signal) await new Promise((resolve) => setTimeout(resolve)); // let events in
}
