import * as tf from '@tensorflow/tfjs-core';
import { assertBackend } from '../backends/assert-backend.js';

/**
 * A key of random numbers. They have no state: every function is a pure function of its key, so the same seed gives the same numbers on
 * every backend, and no call disturbs another. Use a key once; make more with `splitKey` or `foldIn`.
 *
 * A key is an int32 tensor [2], or [N, 2] for one key per row: then `shape` is [N, …] and row i depends on
 * key i alone, not on its place in the batch. The generator is Threefry-2x32-20 (Salmon et al., SC 2011).
 *
 * Every function here throws an Error for a tensor that is not such a key, and for a shape with another number of rows.
 */
export type Key = tf.Tensor;

/**
 * Makes the key of a seed: any 64-bit integer, or a plain number up to 2^53.
 *
 * @throws RangeError if the seed is not such an integer; Error before a backend is loaded
 */
export function randomKey(seed: number | bigint): Key {
  assertBackend('randomKey');
  return tf.tensor1d(seedWords('randomKey', seed), 'int32');
}

/** Makes `count` independent keys. `splitKey(key, n)[i]` is `foldIn(key, i)`, so use one or the other on a key. */
export function splitKey(key: Key, count: number): Key[] {
  if (count === 0) return [];
  // All at once: a compiler would have to work through the cipher for every key.
  return tf.tidy(() => tf.unstack(foldIn(key, tf.range(0, count, 1, 'int32'))));
}

/**
 * Makes a key from a key and an integer, such as the step: a JavaScript number, or an int32 scalar inside `jit`. With integers
 * int32 [count] it makes one for each: [count, 2], or [count, N, 2] of keys [N, 2].
 *
 * @throws Error if `data` is a tensor of another type or rank
 */
export function foldIn(key: Key, data: number | tf.Tensor): Key {
  assertKey('foldIn', key);
  return tf.tidy(() => {
    const numbers = typeof data === 'number' ? tf.scalar(data, 'int32') : data;
    if (numbers.rank > 1 || numbers.dtype !== 'int32') {
      throw new Error(`foldIn: data must be an int32 scalar or vector, got ${numbers.dtype} [${numbers.shape}]`);
    }
    return runKernel('ThreefryFoldIn', { key, data: numbers });
  });
}

/** Draws numbers uniform in [0, 1), float32: multiples of 2^-24. */
export function uniform(key: Key, shape: readonly number[]): tf.Tensor {
  assertKey('uniform', key, shape);
  return runKernel('ThreefryUniform', { key }, { shape: [...shape] });
}

/** Draws standard normal numbers by the Box–Muller transform; the largest possible one is √(2 ln 2^24) = 5.77. */
export function normal(key: Key, shape: readonly number[]): tf.Tensor {
  assertKey('normal', key, shape);
  return tf.tidy(() => {
    const rows = key.rank === 2 ? key.shape[0] : 1;
    const rowLength = tf.util.sizeFromShape([...shape]) / rows;
    const half = Math.ceil(rowLength / 2);
    const [first, second] = tf.split(uniform(key, key.rank === 2 ? [rows, 2, half] : [1, 2, half]), 2, 1);
    const radius = tf.sqrt(tf.mul(-2, tf.log(tf.sub(1, first))));
    const angle = tf.mul(2 * Math.PI, second);
    const pair = tf.concat([tf.mul(radius, tf.cos(angle)), tf.mul(radius, tf.sin(angle))], 1);
    return tf.reshape(tf.slice(tf.reshape(pair, [rows, 2 * half]), [0, 0], [rows, rowLength]), [...shape]);
  });
}

/** Parameters of a truncated normal: mean and standard deviation before the bounds are applied, and the bounds. */
export type TruncatedNormal = { mean: number; standardDeviation: number; low: number; high: number };

/**
 * Draws normal numbers with the given mean and standard deviation, conditioned on [low, high], by inversion of its distribution
 * function. The bounds may lie up to 5 standard deviations from the mean: beyond, float32 has no probability left.
 *
 * @throws RangeError if the deviation is not positive, or the bounds are not ordered or farther away
 */
export function truncatedNormal(key: Key, shape: readonly number[], parameters: TruncatedNormal): tf.Tensor {
  const { mean, standardDeviation, low, high } = parameters;
  const [from, to] = [(low - mean) / standardDeviation, (high - mean) / standardDeviation];
  if (!(standardDeviation > 0) || !(from < to) || from < -5 || to > 5) {
    throw new RangeError(
      `truncatedNormal: low and high must be in order and within 5 standard deviations of the mean, got ${JSON.stringify(parameters)}`,
    );
  }
  return tf.tidy(() => {
    const [start, end] = tf.split(tf.erf(tf.tensor1d([from / Math.SQRT2, to / Math.SQRT2])), 2);
    const quantile = tf.add(start, tf.mul(uniform(key, shape), tf.sub(end, start)));
    const values = tf.add(tf.mul(inverseErf(quantile), standardDeviation * Math.SQRT2), mean);
    return tf.clipByValue(tf.reshape(values, [...shape]), low, high);
  });
}

/** Draws standard Gumbel noise −ln(−ln u): the largest of logits with this noise added is a sample of their softmax. */
export function gumbel(key: Key, shape: readonly number[]): tf.Tensor {
  return tf.tidy(() => {
    const open = tf.maximum(uniform(key, shape), 2 ** -25); // keeps ln u finite at u = 0
    return tf.neg(tf.log(tf.neg(tf.log(open))));
  });
}

/**
 * Draws int32 numbers in [low, high), at most 2^24 values apart; each is equally likely to within 2^-24.
 *
 * @throws RangeError if the bounds are not integers 1 to 2^24 apart
 */
export function randomIntegers(key: Key, shape: readonly number[], low: number, high: number): tf.Tensor {
  const count = high - low;
  if (!Number.isInteger(low) || !Number.isInteger(high) || count < 1 || count > 2 ** 24) {
    throw new RangeError(`randomIntegers: low and high must be integers 1 to 2^24 apart, got ${low} and ${high}`);
  }
  return tf.tidy(() => tf.add(tf.cast(tf.floor(tf.mul(uniform(key, shape), count)), 'int32'), tf.scalar(low, 'int32')));
}

/** Draws a random order of 0 … length − 1: int32 [length], or [N, length] for keys [N, 2]. */
export function permutation(key: Key, length: number): tf.Tensor {
  return tf.tidy(() => tf.topk(uniform(key, [...key.shape.slice(0, -1), length]), length, true).indices);
}

/**
 * Draws a float32 mask for dropout: 1 / keepProbability with that probability, else 0.
 *
 * @throws RangeError if `keepProbability` is not in (0, 1]
 */
export function dropoutMask(key: Key, shape: readonly number[], keepProbability: number): tf.Tensor {
  assertKey('dropoutMask', key, shape);
  if (!(keepProbability > 0 && keepProbability <= 1)) {
    throw new RangeError(`dropoutMask: keepProbability must be in (0, 1], got ${keepProbability}`);
  }
  return runKernel('DropoutMask', { key }, { shape: [...shape], keepProbability });
}

/** The two 32-bit words of a seed, high word first, as signed integers. */
export function seedWords(where: string, seed: number | bigint): [number, number] {
  if (typeof seed !== 'bigint' && !Number.isSafeInteger(seed)) {
    throw new RangeError(`${where}: seed must be an integer up to 2^53 or a bigint, got ${seed}`);
  }
  const words = BigInt.asUintN(64, BigInt(seed));
  return [Number(words >> 32n) | 0, Number(words & 0xffffffffn) | 0];
}

/** Coefficients of M. Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2011), single precision. */
const central = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 2.1858087e-4, -1.25372503e-3, -4.17768164e-3,
  2.46640727e-1, 1.50140941,
];
const tail = [
  -2.00214257e-4, 1.00950558e-4, 1.34934322e-3, -3.67342844e-3, 5.73950773e-3, -7.6224613e-3, 9.43887047e-3, 1.00167406,
  2.83297682,
];

/** erf⁻¹ on (−1, 1), relative error below 4e-7 before rounding. */
function inverseErf(x: tf.Tensor): tf.Tensor {
  const w = tf.maximum(tf.neg(tf.log(tf.mul(tf.sub(1, x), tf.add(1, x)))), 0);
  const near = polynomial(central, tf.sub(w, 2.5));
  const far = polynomial(tail, tf.sub(tf.sqrt(w), 3));
  return tf.mul(tf.where(tf.less(w, 5), near, far), x);
}

function polynomial(coefficients: readonly number[], x: tf.Tensor): tf.Tensor {
  return coefficients
    .slice(1)
    .reduce<tf.Tensor>((sum, c) => tf.add(tf.mul(sum, x), c), tf.fill(x.shape, coefficients[0]));
}

function runKernel(name: string, inputs: tf.NamedTensorMap, attributes?: Record<string, unknown>): tf.Tensor {
  return tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap) as tf.Tensor;
}

function assertKey(where: string, key: Key, shape?: readonly number[]): void {
  const isKey = key.dtype === 'int32' && key.shape.at(-1) === 2 && (key.rank === 1 || key.rank === 2);
  if (!isKey) throw new Error(`${where}: key must be int32 [2] or [N, 2], got ${key.dtype} [${key.shape}]`);
  if (shape && key.rank === 2 && shape[0] !== key.shape[0]) {
    throw new Error(`${where}: shape must start with ${key.shape[0]}, one row per key, got [${shape}]`);
  }
}
