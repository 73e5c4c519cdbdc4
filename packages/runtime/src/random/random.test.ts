import { expectClose, testBackends } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useBackend } from '../backends/use-backend.js';
import {
  dropoutMask,
  foldIn,
  gumbel,
  type Key,
  normal,
  permutation,
  randomIntegers,
  randomKey,
  splitKey,
  truncatedNormal,
  uniform,
} from './random.js';
import { threefry } from './threefry.js';

const values = (tensor: tf.Tensor) => Array.from(tensor.dataSync());
const average = (numbers: number[]) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

/** Largest distance between the empirical and the given distribution function (Kolmogorov–Smirnov). */
function distance(sample: number[], distribution: (x: number) => number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  return Math.max(...sorted.map((x, index) => Math.abs(distribution(x) - (index + 0.5) / sorted.length)));
}

// Φ by Simpson's rule: the tests owe nothing to the code's own approximations.
function normalDistribution(x: number): number {
  const steps = 200;
  const h = x / steps;
  const density = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += (i % 2 === 0 ? 2 : 4) * density(i * h);
  return 0.5 + (sum * h) / 3;
}

describe.each(testBackends)('random numbers on %s', (backend) => {
  let key: Key;
  const count = 20_000;
  const tolerance = 1.63 / Math.sqrt(count); // the 1 % point of the Kolmogorov distribution

  beforeAll(async () => {
    await useBackend(backend);
    key = randomKey(20250321);
  });

  test('a seed gives the same numbers everywhere', () => {
    const words = values(key);
    expect(words).toEqual([0, 20250321]);
    expect(values(randomKey(-1n))).toEqual([-1, -1]);
    expect(values(randomKey(2 ** 32 + 5))).toEqual([1, 5]);
    const expected = Array.from({ length: 6 }, (_, index) => (threefry(0, 20250321, 0, index)[0] >>> 8) / 2 ** 24);
    expect(values(uniform(key, [2, 3]))).toEqual(expected);
    const [folded] = [values(foldIn(key, 9))];
    expect(folded).toEqual(threefry(0, 20250321, 1, 9));
  });

  test('split keys are distinct and equal the keys folded in', () => {
    const keys = splitKey(key, 3);
    expect(new Set(keys.map((each) => values(each).join())).size).toBe(3);
    expect(values(keys[2])).toEqual(values(foldIn(key, tf.scalar(2, 'int32'))));
    expect(splitKey(key, 0)).toEqual([]);
  });

  test('several numbers folded in at once give what each gives alone', () => {
    const rows = tf.stack([key, foldIn(key, 1)]);
    for (const own of [key, rows]) {
      const both = foldIn(own, tf.tensor1d([5, -3], 'int32'));
      expect(both.shape).toEqual([2, ...own.shape]);
      expect(values(both)).toEqual([...values(foldIn(own, 5)), ...values(foldIn(own, -3))]);
    }
  });

  test('with one key per row, a row does not depend on its place', () => {
    const [a, b] = [randomKey(1), randomKey(2)];
    const both = tf.stack([a, b]);
    const swapped = tf.stack([b, a]);
    const dropout = (k: Key, n: number) => dropoutMask(k, n === 0 ? [5] : [n, 5], 0.5);
    const draws: ((key: Key, rows: number) => tf.Tensor)[] = [
      (k, n) => uniform(k, n === 0 ? [5] : [n, 5]),
      (k, n) => normal(k, n === 0 ? [5] : [n, 5]),
      (k, n) => gumbel(k, n === 0 ? [5] : [n, 5]),
      (k, n) => truncatedNormal(k, n === 0 ? [5] : [n, 5], { mean: 0, standardDeviation: 1, low: -1, high: 2 }),
      (k, n) => randomIntegers(k, n === 0 ? [5] : [n, 5], 0, 100),
      (k) => permutation(k, 5),
      dropout,
      (k) => foldIn(k, 3),
    ];
    for (const draw of draws) {
      const alone = [...values(draw(a, 0)), ...values(draw(b, 0))];
      const together = values(draw(both, 2));
      const length = together.length / 2;
      // Vectorized logarithms may round differently by place.
      expectClose(values(draw(swapped, 2)), [...together.slice(length), ...together.slice(0, length)], 1e-6);
      if (draw !== dropout) expectClose(together, alone, 1e-6); // a mask's bits are the backend's choice
    }
  });

  test('uniform numbers lie in [0, 1) and have their distribution', () => {
    const sample = values(uniform(key, [count]));
    expect(Math.min(...sample)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...sample)).toBeLessThan(1);
    expect(distance(sample, (x) => x)).toBeLessThan(tolerance);
  });

  test('normal numbers have their distribution', () => {
    expect(distance(values(normal(key, [count])), normalDistribution)).toBeLessThan(tolerance);
    expect(normal(key, [3, 5]).shape).toEqual([3, 5]);
    expect(normal(key, []).shape).toEqual([]);
  });

  test('truncated normal numbers stay in their bounds and have their distribution', () => {
    for (const parameters of [
      { mean: 1, standardDeviation: 0.25, low: 0.7, high: 1 },
      { mean: 0, standardDeviation: 2, low: -10, high: 10 },
      { mean: 0, standardDeviation: 1, low: 2, high: 5 },
    ]) {
      const { mean, standardDeviation, low, high } = parameters;
      const sample = values(truncatedNormal(key, [count], parameters));
      expect(Math.min(...sample)).toBeGreaterThanOrEqual(Math.fround(low));
      expect(Math.max(...sample)).toBeLessThanOrEqual(Math.fround(high));
      const below = (x: number) => normalDistribution((x - mean) / standardDeviation);
      expect(distance(sample, (x) => (below(x) - below(low)) / (below(high) - below(low)))).toBeLessThan(tolerance);
    }
  });

  test('Gumbel noise has its distribution', () => {
    const sample = values(gumbel(key, [count]));
    expect(sample.every(Number.isFinite)).toBe(true);
    expect(distance(sample, (x) => Math.exp(-Math.exp(-x)))).toBeLessThan(tolerance);
  });

  test('integers stay in their range and are evenly spread', () => {
    const sample = randomIntegers(key, [count], -3, 4);
    expect(sample.dtype).toBe('int32');
    const counts = new Map<number, number>();
    for (const value of values(sample)) counts.set(value, (counts.get(value) ?? 0) + 1);
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([-3, -2, -1, 0, 1, 2, 3]);
    const expected = count / 7;
    const chiSquared = [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquared).toBeLessThan(16.8); // the 1 % point with 6 degrees of freedom
  });

  test('a permutation holds every index once, and all orders are as likely', () => {
    const order = permutation(key, 1000);
    expect(order.dtype).toBe('int32');
    expect(values(order).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    const first = splitKey(key, 600).map((each) => values(permutation(each, 3)).join());
    for (const each of new Set(first)) expect(first.filter((other) => other === each).length).toBeGreaterThan(60);
    expect(new Set(first).size).toBe(6);
  });

  test('dropout keeps the mean', () => {
    const mask = values(dropoutMask(key, [count], 0.9));
    expect(new Set(mask)).toEqual(new Set([0, Math.fround(1 / 0.9)]));
    expect(average(mask)).toBeCloseTo(1, 1.5);
    expect(new Set(values(dropoutMask(key, [100], 1)))).toEqual(new Set([1]));
  });

  test('nothing leaks', () => {
    const before = tf.memory().numTensors;
    const made = [uniform, normal, gumbel].map((draw) => draw(key, [7]));
    const parameters = { mean: 0, standardDeviation: 1, low: -1, high: 1 };
    made.push(truncatedNormal(key, [7], parameters), randomIntegers(key, [7], 0, 9), permutation(key, 7));
    made.push(dropoutMask(key, [7], 0.5), foldIn(key, 1), ...splitKey(key, 2));
    expect(tf.memory().numTensors - before).toBe(made.length);
    tf.dispose(made);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('bad arguments are named', () => {
    expect(() => uniform(tf.zeros([2]), [3])).toThrow(
      /uniform: key must be int32 \[2\] or \[N, 2\], got float32 \[2\]/,
    );
    expect(() => normal(tf.stack([key, key]), [3, 4])).toThrow(/shape must start with 2/);
    expect(() => randomKey(0.5)).toThrow(/seed must be an integer/);
    expect(() => truncatedNormal(key, [1], { mean: 0, standardDeviation: 1, low: 1, high: 0 })).toThrow(
      /truncatedNormal: low and/,
    );
    expect(() => randomIntegers(key, [1], 3, 3)).toThrow(/integers 1 to 2\^24 apart/);
    expect(() => dropoutMask(key, [1], 0)).toThrow(/keepProbability must be in \(0, 1\]/);
    expect(() => foldIn(key, tf.scalar(1))).toThrow(/data must be an int32 scalar/);
  });
});
