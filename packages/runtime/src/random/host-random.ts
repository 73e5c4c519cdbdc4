import * as tf from '@tensorflow/tfjs-core';
import { seedWords } from './random.js';
import { toUnit } from './random-kernels.js';
import { threefry } from './threefry.js';

/** A source of random numbers on the host, one after another: for data order, crops and masks. */
export type HostRandom = {
  /** In [0, 1): multiples of 2^-24. */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
  /** One integer in [low, high), without bias. */
  integers(low: number, high: number): number;
  /** A random order of 0 … length − 1. */
  permutation(length: number): Int32Array;
};

/**
 * Makes the generator of a seed and a path of integers, such as an epoch and an image's index. The same seed and path give
 * the same numbers everywhere, and different ones are independent, so no state needs saving: a resumed run makes the
 * generator again. `hostRandom(seed, step)` draws what `uniform(foldIn(randomKey(seed), step), …)` holds.
 *
 * @throws RangeError if `seed` is a number that is not an integer up to 2^53
 */
export function hostRandom(seed: number | bigint, ...path: number[]): HostRandom {
  const [key0, key1] = path.reduce(
    ([word0, word1], step) => threefry(word0, word1, 1, step),
    seedWords('hostRandom', seed),
  );
  let counter = 0;
  const word = () => threefry(key0, key1, 0, counter++)[0];
  const uniform = () => toUnit(word());
  const integers = (low: number, high: number) => {
    const count = high - low;
    if (!Number.isSafeInteger(low) || !(count >= 1 && count <= 2 ** 32)) {
      throw new RangeError(`hostRandom: low and high must be integers 1 to 2^32 apart, got ${low} and ${high}`);
    }
    const accepted = 2 ** 32 - (2 ** 32 % count); // words from here on would favour the low integers
    let drawn = word() >>> 0;
    while (drawn >= accepted) drawn = word() >>> 0;
    return low + (drawn % count);
  };
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    integers,
    permutation: (length) => shuffled(length, integers),
  };
}

/**
 * Draws one key for each of `count` rows, so that what is drawn with it on the device depends neither on the row's place
 * in the batch nor on how the batch is cut.
 *
 * @returns int32 [count, 2]
 */
export function drawKeys(random: HostRandom, count: number): tf.Tensor2D {
  const words = Int32Array.from({ length: 2 * count }, () => random.integers(-(2 ** 31), 2 ** 31));
  return tf.tensor2d(words, [count, 2], 'int32');
}

/** Fisher–Yates. */
function shuffled(length: number, integers: HostRandom['integers']): Int32Array {
  const order = Int32Array.from({ length }, (_, index) => index);
  for (let last = length - 1; last > 0; last--) {
    const other = integers(0, last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}
