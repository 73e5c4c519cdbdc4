import * as tf from '@tensorflow/tfjs-core';

// N = images, S = positions, V = visible positions (padded), M = masked positions (padded), D = width of a feature
//
// Which positions are masked, in training and in each step of sampling, and how listed positions are picked. A compiled
// program has static shapes, but the number of masked positions changes from step to step: so positions are listed in
// tensors of few lengths, filled up with −1.

/** A source of random numbers on the host, such as `hostRandom(seed)` of @tb/runtime. */
export type RandomSource = {
  /** Standard normal. */
  normal(): number;
  /** A random order of 0 … length − 1. */
  permutation(length: number): ArrayLike<number>;
};

/** Which positions the encoder sees and which are to be predicted, as lists that −1 fills up to a static length. */
export type Masking = {
  visible: tf.Tensor2D; // int32 [N, V], ascending
  masked: tf.Tensor2D; // int32 [N, M], ascending
};

/** The order that fills a grid row by row, the last position first: orders are filled from their end, as in the reference. */
export function rasterOrder(positions: number): Int32Array {
  return Int32Array.from({ length: positions }, (_, index) => positions - 1 - index);
}

/** Draws a uniformly random order of the positions. */
export function randomOrder(random: RandomSource, positions: number): Int32Array {
  return Int32Array.from(random.permutation(positions));
}

/**
 * Draws a mask ratio as MAR does (Li et al. 2024, Sec. 4): normal with mean 1 and deviation 0.25, conditioned on
 * [minimum, 1].
 *
 * @param minimum - in [0, 1)
 * @returns in [minimum, 1]
 * @throws RangeError if `minimum` is outside [0, 1)
 */
export function drawMaskRatio(random: RandomSource, minimum: number): number {
  if (!(minimum >= 0 && minimum < 1)) throw new RangeError(`drawMaskRatio: minimum must be in [0, 1), got ${minimum}`);
  for (;;) {
    const ratio = 1 - 0.25 * Math.abs(random.normal()); // the half below the mean is all that can pass
    if (ratio >= minimum) return ratio;
  }
}

/** How many positions a ratio masks: ⌈ratio · positions⌉, as in the reference. */
export function maskedCount(ratio: number, positions: number): number {
  return Math.ceil(positions * ratio);
}

/**
 * Draws the masking of a training batch: one ratio for all images, as in the reference, and an order for each.
 *
 * @returns tensors that the caller disposes
 * @throws RangeError if `minimumRatio` or `granularity` is out of range
 */
export function drawMasking(
  random: RandomSource,
  { images, positions, minimumRatio, granularity }: DrawMaskingOptions,
): Masking {
  const count = maskedCount(drawMaskRatio(random, minimumRatio), positions);
  const orders = Array.from({ length: images }, () => randomOrder(random, positions));
  return maskingOfOrders(orders, count, granularity);
}

/** Options of `drawMasking`. */
export type DrawMaskingOptions = {
  /** N. */
  images: number;
  /** S, those of one image. */
  positions: number;
  /** Least share of masked positions, in [0, 1): 0.7 in the reference. */
  minimumRatio: number;
  /**
   * The lists' lengths are multiples of this. 1 means no padding and one program for every count; larger numbers mean fewer
   * programs and more padding. Default ⌈positions / 16⌉, about five programs for ratios from 0.7.
   */
  granularity?: number;
};

/**
 * Masks the first `count` positions of every order.
 *
 * @param orders - one permutation of the positions per image
 * @param count - in [1, positions]
 * @param granularity - as in `drawMasking`
 * @returns tensors that the caller disposes
 * @throws RangeError if `count` or `granularity` is out of range
 */
export function maskingOfOrders(
  orders: readonly ArrayLike<number>[],
  count: number,
  granularity = defaultGranularity(orders[0].length),
): Masking {
  const positions = orders[0].length;
  if (!Number.isInteger(count) || count < 1 || count > positions)
    throw new RangeError(`maskingOfOrders: count must be an integer in [1, ${positions}], got ${count}`);
  if (!Number.isInteger(granularity) || granularity < 1)
    throw new RangeError(`maskingOfOrders: granularity must be a positive integer, got ${granularity}`);
  const { masked: maskedCapacity, visible: visibleCapacity } = capacitiesOf(count, positions, granularity);
  const sorted = (order: ArrayLike<number>, from: number, to: number) => Int32Array.from(order).slice(from, to).sort();
  return {
    visible: positionLists(
      orders.map((order) => sorted(order, count, positions)),
      visibleCapacity,
    ),
    masked: positionLists(
      orders.map((order) => sorted(order, 0, count)),
      maskedCapacity,
    ),
  };
}

/** Lengths of the lists of a masking. */
export type MaskingCapacities = { masked: number; visible: number };

/** Both lengths follow from the masked one alone, so there are no more programs than multiples. */
function capacitiesOf(count: number, positions: number, granularity: number): MaskingCapacities {
  const step = Math.min(granularity, positions); // no list is longer than all positions
  const masked = roundUp(count, step);
  const fewestMasked = masked - step + 1;
  return { masked, visible: roundUp(Math.max(1, positions - fewestMasked), step) };
}

/**
 * Lists the lengths that `drawMasking` pads to, the likeliest first: the density of the ratio grows up to 1.
 *
 * @throws RangeError if `minimumRatio` is out of range
 */
export function maskingCapacities({
  positions,
  minimumRatio,
  granularity = defaultGranularity(positions),
}: Omit<DrawMaskingOptions, 'images'>): MaskingCapacities[] {
  if (!(minimumRatio >= 0 && minimumRatio < 1))
    throw new RangeError(`maskingCapacities: minimumRatio must be in [0, 1), got ${minimumRatio}`);
  const fewest = Math.max(1, maskedCount(minimumRatio, positions));
  const counts = Array.from({ length: positions - fewest + 1 }, (_, index) => positions - index);
  const all = counts.map((count) => capacitiesOf(count, positions, granularity));
  return all.filter(({ masked }, index) => index === 0 || masked !== all[index - 1].masked);
}

const defaultGranularity = (positions: number): number => Math.ceil(positions / 16);

/** Puts lists of positions into one tensor int32 [N, capacity], filled up with −1. @throws RangeError if a list is longer */
export function positionLists(lists: readonly ArrayLike<number>[], capacity: number): tf.Tensor2D {
  const data = new Int32Array(lists.length * capacity).fill(-1);
  lists.forEach((list, image) => {
    if (list.length > capacity)
      throw new RangeError(`positionLists: a list must hold at most ${capacity} positions, got ${list.length}`);
    data.set(Int32Array.from(list), image * capacity);
  });
  return tf.tensor2d(data, [lists.length, capacity], 'int32');
}

/** Rounds up to a multiple of `multiple`. */
export function roundUp(count: number, multiple: number): number {
  return Math.ceil(count / multiple) * multiple;
}

/**
 * How many positions stay masked after one step of sampling: the cosine schedule of MaskGIT (Chang et al. 2022) as the
 * reference applies it. Every step predicts at least one position and leaves at least one, until the last leaves none.
 *
 * @param step - 0 … steps − 1
 * @param masked - positions masked before the step; with 1 left before the last step, nothing is predicted
 * @returns 0 … masked
 */
export function maskedAfterStep(step: number, steps: number, positions: number, masked: number): number {
  if (step >= steps - 1) return 0;
  const ratio = Math.cos(((Math.PI / 2) * (step + 1)) / steps);
  return Math.max(1, Math.min(masked - 1, Math.floor(positions * ratio)));
}

/**
 * The guidance scale of one step of sampling. As in the reference, the linear schedule follows the positions that are known
 * *after* the step, and counts one as masked even after the last: it ends just below `scale`.
 *
 * @param maskedAfter - positions masked after the step
 */
export function guidanceOfStep(
  schedule: 'linear' | 'constant',
  scale: number,
  positions: number,
  maskedAfter: number,
): number {
  if (schedule === 'constant') return scale;
  return 1 + ((scale - 1) * (positions - Math.max(1, maskedAfter))) / positions;
}

/**
 * Writes lists of positions as matrices: row v has 1 at the position of entry v, and only zeros where that is −1. Its product
 * with features picks the listed positions, the product with its transpose puts them back. Both have gradients that are
 * matrix products too: no scatter, no data-dependent shape, and padding contributes exactly nothing.
 *
 * @param indices - int32 [N, V], each in [0, S) or −1
 * @returns float32 [N, V, S]
 */
export function selectionMatrix(indices: tf.Tensor2D, positions: number): tf.Tensor3D {
  return tf.tidy(() => {
    const all = tf.range(0, positions, 1, 'int32');
    return tf.cast(tf.equal(tf.expandDims(indices, 2), all), 'float32') as tf.Tensor3D;
  });
}

/**
 * Picks the features of listed positions by a matrix product, which has a gradient; zeros for entries of −1.
 *
 * @param features - [N, S, D]
 * @param indices - int32 [N, V]
 * @returns [N, V, D]
 */
export function selectPositions(features: tf.Tensor3D, indices: tf.Tensor2D): tf.Tensor3D {
  return tf.tidy(() => tf.matMul(selectionMatrix(indices, features.shape[1]), features));
}

/**
 * Picks the values of listed positions exactly, such as tokens, which the product of `selectPositions` would round. Entries
 * of −1 yield position 0, so callers mask them.
 *
 * @param values - [N, S, D]
 * @param indices - int32 [N, V]
 * @returns [N, V, D], of the type of `values`
 */
export function gatherPositions(values: tf.Tensor3D, indices: tf.Tensor2D): tf.Tensor3D {
  const [images, positions, width] = values.shape;
  return tf.tidy(() => {
    // Rows are counted through all images: the WASM backend's gather by batch confuses the images.
    const firstRows = tf.reshape(tf.range(0, images * positions, positions, 'int32'), [images, 1]);
    const rows = tf.add(tf.maximum(indices, tf.scalar(0, 'int32')), firstRows);
    const gathered = tf.gather(tf.reshape(values, [images * positions, width]), tf.reshape(rows, [-1]));
    return tf.reshape(gathered, [images, indices.shape[1], width]);
  });
}
