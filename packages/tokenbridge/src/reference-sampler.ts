import { type FirstPosition, sampleChannels } from '@tb/ar-head';
import { applyBackbone, guidanceOfStep, maskedAfterStep, positionLists, selectPositions } from '@tb/backbone';
import { foldIn, type Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { backboneConfig, channelHeadConfig, positionCount, type TokenBridge, type TokenBridgeConfig } from './model.js';
import { dequantize } from './quantization.js';

// N = images, S = positions, V = visible positions, M = predicted positions, C = channels, Z = width of the backbone's features
//
// Inference as in Sec. 3.3, with nothing padded, compiled or queued. `generate` returns the same tokens; its tests compare them.

type SamplerInputs = {
  params: TokenBridge;
  config: TokenBridgeConfig;
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
};

/** The tokens [C] of each position of an image, `null` where it is masked [S]. */
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
  { params, config, labels, noiseKeys, order, temperature, firstPosition, ...guidance }: SamplerInputs,
  grids: Grid[],
  next: number[][],
  { step, before, after }: { step: number; before: number; after: number },
): void {
  // (1) The backbone computes context features z of all positions from the known tokens, de-quantized (Eq. 5).
  const blank = Array(config.latent.channels).fill(0); // at masked positions, which are never read
  const tokens = grids.map((grid) => grid.map((position) => position ?? blank));
  const classes = labels.map((label) => label ?? 0);
  const context = (hideLabels: boolean) =>
    applyBackbone(params, backboneConfig(config), {
      values: dequantize(config.quantizer, tf.tensor3d(tokens, undefined, 'int32')), // [N, S, C]
      visible: listed(grids.map(knownPositions)), // [N, V]
      labels: tf.tensor1d(classes, 'int32'),
      unlabelled: tf.tensor1d(labels.map((label) => Number(hideLabels || label === null))),
    });

  // Classifier-free guidance moves z away from what it is without a label.
  const { guidanceScale, guidanceSchedule } = guidance;
  const scale = guidanceOfStep(guidanceSchedule, guidanceScale, positionCount(config), after);
  const [labelled, free] = [context(false), context(true)]; // [N, S, Z]
  const z = guidanceScale === 1 ? labelled : tf.add(free, tf.mul(scale, tf.sub(labelled, free)));

  // (2) At every position that is next, the head draws one channel after another, each given those before it (Eq. 6).
  const draw = temperature === 0 ? 'greedy' : ({ temperature, keys: foldIn(noiseKeys, step) } as const);
  const selected = selectPositions(z as tf.Tensor3D, listed(next)); // [N, M, Z]
  const drawn = sampleChannels(params, channelHeadConfig(config), selected, { draw, firstPosition });

  // (3) The drawn tokens are known from now on; by confidence, only those with the highest probability.
  const [values, confidence] = [drawn.tokens.arraySync(), drawn.logProbability.arraySync()];
  for (const [image, grid] of grids.entries()) {
    const places = Array.from(next[image].keys());
    if (order === 'confidence') places.sort((a, b) => confidence[image][b] - confidence[image][a]);
    for (const place of places.slice(0, before - after)) grid[next[image][place]] = values[image][place];
  }
}

const maskedPositions = (grid: Grid) => Array.from(grid.keys()).filter((position) => grid[position] === null);
const knownPositions = (grid: Grid) => Array.from(grid.keys()).filter((position) => grid[position] !== null);

/** Lists of positions as a tensor [N, length of the longest]. */
const listed = (lists: number[][]) => positionLists(lists, Math.max(1, ...lists.map(({ length }) => length)));
