import { type FirstPosition, sampleChannels } from '@tb/ar-head';
import { applyBackbone, guidanceOfStep, maskedAfterStep, positionLists, selectPositions } from '@tb/backbone';
import { conditionOnFeatures, denoise, drawSampleNoise, type SampleNoise } from '@tb/diffusion-head';
import { foldIn, type Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import {
  backboneConfig,
  backboneOf,
  channelHeadConfig,
  type ImageModel,
  type ImageModelConfig,
  type MarModel,
  modelOf,
  positionCount,
  type TokenModel,
} from './model.js';
import { valuesOf } from './quantization.js';

// N = images, S = positions, V = visible positions, M = predicted positions, C = channels, Z = width of the backbone's features
//
// Inference as in Sec. 3.3, with nothing padded, compiled or queued. `generate` returns the same tokens; its tests compare them.

type SamplerInputs = {
  params: ImageModel;
  config: ImageModelConfig;
  /** The class of each image, `null` for none [N]. */
  labels: readonly (number | null)[];
  /** One key per image, for the noise of its draws [N, 2]. */
  noiseKeys: Key;
  /** What is known at the beginning, for editing; default: nothing. All images have as many masked positions. */
  known?: readonly Grid[];
  /** The positions of each image, filled from the end of the list; or the most confident ones first (Fig. 8). */
  order: readonly ArrayLike<number>[] | 'confidence';
  steps: number;
  guidanceScale: number;
  guidanceSchedule: 'linear' | 'constant';
  temperature: number;
  firstPosition: FirstPosition;
  /** Of MAR: the denoising steps, and the noise of a sampling step; default: drawn by the keys. */
  denoisingSteps: number;
  noiseOfStep?: (step: number, next: readonly number[][]) => SampleNoise;
};

/** The tokens [C], or values of MAR, of each position of an image, `null` where it is masked [S]. */
type Grid = (number[] | null)[];

/** Samples q ~ p(q) of Eq. 7: in each step, the tokens of some positions are predicted from those that are known. */
export function sampleTokens(inputs: SamplerInputs): Grid[] {
  const { config, labels, order, steps, known } = inputs;
  const grids = labels.map((_, image): Grid => known?.[image].slice() ?? Array(positionCount(config)).fill(null));
  const masked = grids.map(maskedPositions);
  for (let step = 0; step < steps; step++) {
    const before = maskedPositions(grids[0]).length;
    const after = maskedAfterStep(step, steps, masked[0].length, before); // cosine schedule
    const next = grids.map((grid, image) => {
      if (order === 'confidence') return maskedPositions(grid);
      return Array.from(order[image])
        .filter((position) => masked[image].includes(position))
        .slice(after, before);
    });
    if (after < before) tf.tidy(() => fillStep(inputs, grids, next, { step, before, after }));
  }
  return grids;
}

function fillStep(
  inputs: SamplerInputs,
  grids: Grid[],
  next: number[][],
  { step, before, after }: { step: number; before: number; after: number },
): void {
  const { params, config, labels, order, guidanceScale, guidanceSchedule } = inputs;
  const model = modelOf(params, config);
  // (1) The backbone computes context features z of all positions from the known tokens, de-quantized (Eq. 5).
  const blank = Array(config.latent.channels).fill(0); // at masked positions, which are never read
  const tokens = grids.map((grid) => grid.map((position) => position ?? blank));
  const classes = labels.map((label) => label ?? 0);
  const context = (hideLabels: boolean) =>
    applyBackbone(backboneOf(params), backboneConfig(config), {
      values: valuesOf(config, tf.tensor3d(tokens, undefined, model.isMar ? 'float32' : 'int32')), // [N, S, C]
      visible: listed(grids.map(knownPositions)), // [N, V]
      labels: tf.tensor1d(classes, 'int32'),
      unlabelled: tf.tensor1d(labels.map((label) => Number(hideLabels || label === null))),
    });

  // Classifier-free guidance needs z without a label too.
  const scale = guidanceOfStep(guidanceSchedule, guidanceScale, positionCount(config), after);
  const pick = (z: tf.Tensor3D) => selectPositions(z, listed(next)); // [N, M, Z]
  const [labelled, free] = [pick(context(false)), pick(context(true))];

  // (2) The head draws every position that is next.
  const features = { labelled, free, scale };
  const drawn = model.isMar
    ? drawValues(model, inputs, features, next, step)
    : drawTokens(model, inputs, features, step);

  // (3) The drawn tokens are known from now on; by confidence, only those with the highest probability.
  const [values, confidence] = [drawn.tokens.arraySync(), drawn.logProbability.arraySync()];
  for (const [image, grid] of grids.entries()) {
    const places = Array.from(next[image].keys());
    if (order === 'confidence') places.sort((a, b) => confidence[image][b] - confidence[image][a]);
    for (const place of places.slice(0, before - after)) grid[next[image][place]] = values[image][place];
  }
}

/** Features with and without label [N, M, Z], and the guidance scale of the step. */
type GuidedFeatures = { labelled: tf.Tensor3D; free: tf.Tensor3D; scale: number };

/** Draws one channel after another, each given those before it (Eq. 6). Guidance moves z away from what it is without a label. */
function drawTokens(
  { params, config }: TokenModel,
  { noiseKeys, temperature, firstPosition, guidanceScale }: SamplerInputs,
  { labelled, free, scale }: GuidedFeatures,
  step: number,
) {
  const z = guidanceScale === 1 ? labelled : tf.add(free, tf.mul(scale, tf.sub(labelled, free)));
  const draw = temperature === 0 ? 'greedy' : ({ temperature, keys: foldIn(noiseKeys, step) } as const);
  return sampleChannels(params, channelHeadConfig(config), z as tf.Tensor3D, { draw, firstPosition });
}

/** Denoises the values of MAR (Li et al. 2024). Guidance moves the predicted noise. */
function drawValues(
  { params: { diffloss }, config }: MarModel,
  { noiseKeys, temperature, guidanceScale, denoisingSteps: steps, noiseOfStep }: SamplerInputs,
  { labelled, free, scale }: GuidedFeatures,
  next: readonly number[][],
  step: number,
) {
  const isGuided = guidanceScale !== 1;
  const [images, positions, width] = labelled.shape;
  const { channels } = config.latent;
  const { start, step: noise } =
    noiseOfStep?.(step, next) ?? drawSampleNoise(foldIn(noiseKeys, step), positions, channels);
  const features = tf.reshape<tf.Rank.R2>(isGuided ? tf.concat([labelled, free], 0) : labelled, [-1, width]);
  const { values } = denoise(
    diffloss,
    { values: start, remaining: tf.scalar(steps, 'int32') },
    conditionOnFeatures(diffloss, features, steps),
    { steps, temperature, guidanceScale: isGuided ? scale : undefined, noise },
  );
  const logProbability = tf.zeros([images, positions]) as tf.Tensor2D;
  return { tokens: tf.reshape<tf.Rank.R3>(values, [images, positions, channels]), logProbability };
}

const maskedPositions = (grid: Grid) => Array.from(grid.keys()).filter((position) => grid[position] === null);
const knownPositions = (grid: Grid) => Array.from(grid.keys()).filter((position) => grid[position] !== null);

/** Lists of positions as a tensor [N, length of the longest]. */
const listed = (lists: number[][]) => positionLists(lists, Math.max(1, ...lists.map(({ length }) => length)));
