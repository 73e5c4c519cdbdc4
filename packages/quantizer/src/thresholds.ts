// An index never decreases with x, so `levels − 1` float32 numbers describe an assignment of float32 values completely,
// whatever its arithmetic: the smallest float32 that reaches each index. Comparing with them rounds nothing.

import type { Assignment } from './assignment.js';

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** Computes the rank of a float32 among all float32 numbers: consecutive integers for neighbours, 0 for ±0. */
function rankOf(x: number): number {
  float[0] = x;
  return bits[0] < 0 ? -(bits[0] & 0x7fffffff) : bits[0];
}

function floatOfRank(rank: number): number {
  bits[0] = Math.abs(rank);
  return rank < 0 ? -float[0] : float[0];
}

const LAST_RANK = rankOf(Number.POSITIVE_INFINITY);

/**
 * @param assign - the assignment, with index 0 at −Infinity and `levels − 1` at +Infinity
 * @param estimates - `levels − 1` guesses; they only save time
 * @returns thresholds t [levels − 1], ascending: the index of x is the number of t ≤ x
 */
export function exactThresholds(assign: Assignment, estimates: ArrayLike<number>): Float32Array {
  return Float32Array.from(estimates, (estimate, i) => {
    const reaches = (rank: number) => assign(floatOfRank(rank)) > i;
    return floatOfRank(smallestRank(reaches, rankOf(estimate)));
  });
}

/** Finds the smallest rank for which a monotone predicate holds, bracketed outwards from a guess and then bisected. */
function smallestRank(holds: (rank: number) => boolean, guess: number): number {
  const direction = holds(guess) ? -1 : 1;
  let reach = 1;
  let previous = guess;
  let next = guess;
  do {
    previous = next;
    next = Math.min(Math.max(guess + direction * reach, -LAST_RANK), LAST_RANK);
    reach *= 2;
  } while (holds(next) === direction < 0);
  let [without, withIt] = direction < 0 ? [next, previous] : [previous, next];
  while (withIt - without > 1) {
    const middle = Math.floor((without + withIt) / 2);
    if (holds(middle)) withIt = middle;
    else without = middle;
  }
  return withIt;
}

/** Counts the thresholds that are at most `x`. */
export function countAtMost(thresholds: Float32Array | Float64Array, x: number): number {
  let [low, high] = [0, thresholds.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (thresholds[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}
