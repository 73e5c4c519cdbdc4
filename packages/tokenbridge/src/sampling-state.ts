import { rasterOrder } from '@tb/backbone';

// N = images, S = positions. The host's side of sampling: which positions are known, which come next.

/** Where every image stands. */
export type SamplingState = {
  images: number;
  positions: number;
  /** The step that filled a position, −1 while it is masked; [N·S]. */
  stepOfPosition: Int32Array;
  /** The confidence of a filled position, 0 while it is masked; [N·S]. */
  confidence: Float32Array;
};

/**
 * How positions are chosen: by an order for each image, filled from its end, or by confidence (Fig. 8): every masked
 * position is predicted, the most confident are kept.
 */
export type PositionOrder = readonly ArrayLike<number>[] | 'confidence';

/** Nothing known yet. */
export function initialState(images: number, positions: number): SamplingState {
  const stepOfPosition = new Int32Array(images * positions).fill(-1);
  return { images, positions, stepOfPosition, confidence: new Float32Array(images * positions) };
}

/** The known positions of every image, ascending. */
export function visiblePositions(state: SamplingState): number[][] {
  return positionsWhere(state, (step) => step >= 0);
}

/**
 * The positions to predict in a step that leaves `after` of `before` masked ones.
 *
 * @returns one list per image, all of the same length
 */
export function candidatePositions(
  state: SamplingState,
  order: PositionOrder,
  before: number,
  after: number,
): number[][] {
  if (order === 'confidence') return positionsWhere(state, (step) => step < 0);
  return order.map((each) => Array.from(each).slice(after, before));
}

/**
 * Which candidates become known: all of them, or the `count` most confident of each image.
 *
 * @param confidence - of candidate k of image n at n · stride + k
 * @returns indices into each image's candidates
 */
export function mostConfident(
  candidates: readonly number[][],
  count: number,
  confidence: Float32Array,
  stride: number,
): number[][] {
  return candidates.map((list, image) => {
    const value = (slot: number) => confidence[image * stride + slot];
    return list
      .map((_, slot) => slot)
      .sort((a, b) => value(b) - value(a) || a - b)
      .slice(0, count);
  });
}

/** Marks candidates as filled by a step. */
export function recordStep(state: SamplingState, step: number, candidates: number[][], kept: number[][]): void {
  kept.forEach((slots, image) => {
    for (const slot of slots) state.stepOfPosition[image * state.positions + candidates[image][slot]] = step;
  });
}

/** For every position the slot that fills it, −1 for none; [N·S]. */
export function sourcesOf({ images, positions }: SamplingState, candidates: number[][], kept: number[][]): Int32Array {
  const sources = new Int32Array(images * positions).fill(-1);
  kept.forEach((slots, image) => {
    for (const slot of slots) sources[image * positions + candidates[image][slot]] = slot;
  });
  return sources;
}

/** The order that `raster` stands for, for every image. */
export function rasterOrders(images: number, positions: number): Int32Array[] {
  return Array.from({ length: images }, () => rasterOrder(positions));
}

function positionsWhere({ images, positions, stepOfPosition }: SamplingState, fits: (step: number) => boolean) {
  return Array.from({ length: images }, (_, image) =>
    Array.from({ length: positions }, (_, position) => position).filter((position) =>
      fits(stepOfPosition[image * positions + position]),
    ),
  );
}
