import * as tf from '@tensorflow/tfjs-core';

// N = images, S = positions, V / M = capacities for visible and masked positions

/** A source of random numbers on the host, such as `hostRandom(seed)` of @tb/runtime. */
export type RandomSource = {
  /** Standard normal. */
  normal(): number;
  /** A random order of 0 … length − 1. */
  permutation(length: number): ArrayLike<number>;
};

/**
 * Which positions the encoder sees and which are to be predicted, as lists of static length. −1 fills them up, so that one
 * compiled program serves every count up to the capacity.
 */
export type Masking = {
  visible: tf.Tensor2D; // int32 [N, V], ascending
  masked: tf.Tensor2D; // int32 [N, M], ascending
};

/** The order that fills a grid row by row. Orders are filled from their end, as in the reference. */
export function rasterOrder(positions: number): Int32Array {
  return Int32Array.from({ length: positions }, (_, index) => positions - 1 - index);
}

/** A uniformly random order of the positions. */
export function randomOrder(random: RandomSource, positions: number): Int32Array {
  return Int32Array.from(random.permutation(positions));
}

/**
 * A mask ratio as MAR draws it (Li et al. 2024, Sec. 4): normal with mean 1 and deviation 0.25, conditioned on
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

/** Positions to mask at a ratio: ⌈ratio · positions⌉, as in the reference. */
export function maskedCount(ratio: number, positions: number): number {
  return Math.ceil(positions * ratio);
}

/**
 * The masking of a training batch: one ratio for all images, as in the reference, and an order for each.
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

export type DrawMaskingOptions = {
  /** N. */
  images: number;
  /** S, those of one image. */
  positions: number;
  /** Least share of masked positions, in [0, 1): 0.7 in the reference. */
  minimumRatio: number;
  /**
   * The capacities are multiples of this many positions: 1 means no padding and a program for every count, larger means
   * fewer programs and more padding. Default ⌈positions / 16⌉, about five programs for ratios from 0.7.
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
  granularity = Math.ceil(orders[0].length / 16),
): Masking {
  const positions = orders[0].length;
  if (!Number.isInteger(count) || count < 1 || count > positions)
    throw new RangeError(`maskingOfOrders: count must be an integer in [1, ${positions}], got ${count}`);
  if (!Number.isInteger(granularity) || granularity < 1)
    throw new RangeError(`maskingOfOrders: granularity must be a positive integer, got ${granularity}`);
  // Both capacities follow from the masked one alone, so that there are as many programs as multiples and no more.
  const step = Math.min(granularity, positions); // no list is longer than all positions
  const maskedCapacity = roundUp(count, step);
  const fewestMasked = maskedCapacity - step + 1;
  const visibleCapacity = roundUp(Math.max(1, positions - fewestMasked), step);
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

/** Lists of positions as one tensor int32 [N, capacity], filled up with −1. @throws RangeError if a list is longer */
export function positionLists(lists: readonly ArrayLike<number>[], capacity: number): tf.Tensor2D {
  const data = new Int32Array(lists.length * capacity).fill(-1);
  lists.forEach((list, image) => {
    if (list.length > capacity)
      throw new RangeError(`positionLists: a list must hold at most ${capacity} positions, got ${list.length}`);
    data.set(Int32Array.from(list), image * capacity);
  });
  return tf.tensor2d(data, [lists.length, capacity], 'int32');
}

/** The least multiple of `multiple` that is not below `count`. */
export function roundUp(count: number, multiple: number): number {
  return Math.ceil(count / multiple) * multiple;
}
