import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frechetDistance } from './frechet-distance.js';
import { accumulate, createAccumulator, finishStatistics, gaussianStatistics } from './gaussian-statistics.js';
import { psnr, ssim } from './image-quality.js';
import { inceptionScore } from './inception-score.js';
import { kernelDistance } from './kernel-distance.js';
import { symmetricEigenvalues } from './linear-algebra/symmetric-eigenvalues.js';
import { manifoldScores } from './nearest-neighbours.js';

/** [count, dimensions] of finite features. */
const features = (dimensions: number, minimum: number, maximum: number) =>
  fc.array(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: dimensions, maxLength: dimensions }), {
    minLength: minimum,
    maxLength: maximum,
  });

describe('symmetricEigenvalues', () => {
  it('finds those of a second-difference matrix, 2 − 2 cos(πk/(n+1))', () => {
    const n = 50;
    const matrix = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      matrix[i * n + i] = 2;
      if (i > 0) matrix[i * n + i - 1] = -1;
    }
    const found = symmetricEigenvalues(matrix, n);
    for (let k = 1; k <= n; k++) expect(found[k - 1]).toBeCloseTo(2 - 2 * Math.cos((Math.PI * k) / (n + 1)), 12);
  });

  it('keeps trace and sum of squares for any symmetric matrix', () => {
    const matrices = fc
      .integer({ min: 1, max: 9 })
      .chain((n) => fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: n * n, maxLength: n * n }));
    fc.assert(
      fc.property(matrices, (values) => {
        const n = Math.sqrt(values.length);
        const at = (i: number, j: number) => values[Math.max(i, j) * n + Math.min(i, j)];
        let trace = 0;
        let squares = 0;
        for (let i = 0; i < n; i++) {
          trace += at(i, i);
          for (let j = 0; j < n; j++) squares += at(i, j) ** 2;
        }
        const eigenvalues = symmetricEigenvalues(Float64Array.from(values), n);
        expect(eigenvalues.reduce((a, b) => a + b, 0)).toBeCloseTo(trace, 9);
        expect(eigenvalues.reduce((a, b) => a + b * b, 0)).toBeCloseTo(squares, 7);
      }),
    );
  });

  it('refuses NaN', () => {
    expect(() => symmetricEigenvalues(Float64Array.of(1, 0, Number.NaN, 1), 2)).toThrow(/row 1, column 0/);
  });
});

describe('frechetDistance', () => {
  const sets = fc.tuple(features(4, 2, 12), features(4, 2, 12));

  it('is symmetric, zero between equal sets, finite and not negative', () => {
    fc.assert(
      fc.property(sets, ([a, b]) => {
        const [first, second] = [gaussianStatistics(a.flat(), 4), gaussianStatistics(b.flat(), 4)];
        const distance = frechetDistance(first, second);
        expect(distance).toBeGreaterThanOrEqual(0);
        expect(frechetDistance(second, first)).toBeCloseTo(distance, 5);
        expect(frechetDistance(first, first)).toBeLessThan(1e-6);
      }),
    );
  });

  it('depends neither on the order of samples nor on how they are batched', () => {
    fc.assert(
      fc.property(features(3, 4, 20), fc.integer({ min: 1, max: 7 }), (rows, batch) => {
        const accumulator = createAccumulator(3);
        const reversed = [...rows].reverse();
        for (let i = 0; i < rows.length; i += batch) accumulate(accumulator, reversed.slice(i, i + batch).flat());
        const streamed = finishStatistics(accumulator);
        const whole = gaussianStatistics(rows.flat(), 3);
        for (const [i, value] of streamed.mean.entries()) expect(value).toBeCloseTo(whole.mean[i], 10);
        for (const [i, value] of streamed.covariance.entries()) expect(value).toBeCloseTo(whole.covariance[i], 9);
      }),
    );
  });

  it('refuses different dimensions, NaN features and a single sample', () => {
    const two = gaussianStatistics([1, 2, 3, 4], 2);
    expect(() => frechetDistance(two, gaussianStatistics([1, 2, 3], 1))).toThrow(/same length, got 2 and 1/);
    expect(() => gaussianStatistics([1, 2, 3, Number.NaN], 2)).toThrow(/row 1, dimension 1/);
    expect(() => gaussianStatistics([1, 2], 2)).toThrow(/at least 2 samples/);
  });
});

describe('manifoldScores', () => {
  it('is perfect between a set and itself', () => {
    fc.assert(
      fc.property(features(3, 5, 20), (rows) => {
        const set = { values: rows.flat(), dimensions: 3 };
        expect(manifoldScores(set, set)).toMatchObject({ precision: 1, recall: 1, coverage: 1 });
      }),
    );
  });

  /** The definition, with Σ (x − y)² alone. */
  function byDefinition(generated: number[][], real: number[][], k: number) {
    const distance = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + (value - y[i]) ** 2, 0);
    const radii = (set: number[][]) =>
      set.map((x, i) => set.flatMap((y, j) => (i === j ? [] : [distance(x, y)])).sort((a, b) => a - b)[k - 1]);
    const [generatedRadii, realRadii] = [radii(generated), radii(real)];
    const share = (flags: boolean[]) => flags.filter(Boolean).length / flags.length;
    const inReal = generated.map((x) => real.filter((y, j) => distance(x, y) <= realRadii[j]).length);
    return {
      precision: share(inReal.map((count) => count > 0)),
      recall: share(real.map((y) => generated.some((x, i) => distance(x, y) <= generatedRadii[i]))),
      density: inReal.reduce((a, b) => a + b, 0) / (k * generated.length),
      coverage: share(real.map((y, j) => generated.some((x) => distance(x, y) <= realRadii[j]))),
    };
  }

  it.each<[string, fc.Arbitrary<number>, number]>([
    ['scattered points', fc.double({ min: -5, max: 5, noNaN: true }), 0],
    ['points on a grid, with ties and duplicates', fc.integer({ min: 0, max: 2 }), 0],
    [
      'points on a grid far from the origin, where products lose their digits',
      fc.integer({ min: 0, max: 2 }),
      3e7 + 0.1,
    ],
  ])('decides as the definition does: %s', (_, coordinate, offset) => {
    const point = fc.tuple(coordinate, coordinate, coordinate).map((values) => values.map((value) => value + offset));
    const set = fc.array(point, { minLength: 4, maxLength: 90 });
    fc.assert(
      fc.property(set, set, fc.integer({ min: 1, max: 3 }), (generated, real, k) => {
        const features = (rows: number[][]) => ({ values: rows.flat(), dimensions: 3 });
        expect(manifoldScores(features(generated), features(real), k)).toEqual(byDefinition(generated, real, k));
      }),
      { numRuns: 60 },
    );
  });

  it('is zero between sets far apart', () => {
    const near = { values: [0, 1, 2, 3, 4], dimensions: 1 };
    const far = { values: [100, 101, 102, 103, 104], dimensions: 1 };
    expect(manifoldScores(near, far)).toEqual({ precision: 0, recall: 0, density: 0, coverage: 0 });
  });

  it('refuses a set that is too small', () => {
    const set = { values: [1, 2, 3], dimensions: 1 };
    expect(() => manifoldScores(set, set)).toThrow(/more than k = 3 samples, got 3/);
  });
});

describe('kernelDistance', () => {
  it('agrees with the estimator worked out by hand', () => {
    // k(0,1) = 1, k(2,3) = 343, and across 1 + 1 + 27 + 64: (1 + 343)·2/2 − 2·93/4
    const distance = kernelDistance(
      { values: [0, 1], dimensions: 1 },
      { values: [2, 3], dimensions: 1 },
      { random: Math.random },
    );
    expect(distance.mean).toBeCloseTo(297.5, 10);
    expect(distance.standardDeviation).toBeCloseTo(0, 10); // every subset is the whole set
  });

  it('grows with the distance between the sets', () => {
    const spread = (offset: number) => ({
      values: Array.from({ length: 40 }, (_, i) => Math.sin(i * 7.3) + offset),
      dimensions: 2,
    });
    const distances = [0, 0.5, 2].map(
      (offset) => kernelDistance(spread(0), spread(offset), { subsets: 1, random: Math.random }).mean,
    );
    expect(distances).toEqual([...distances].sort((a, b) => a - b));
  });

  it('agrees with a plain sum over pairs, for sets larger than a tile', () => {
    const make = (count: number, seed: number) =>
      Float64Array.from({ length: count * 3 }, (_, i) => Math.sin(i * seed));
    const [x, y] = [make(70, 7.3), make(70, 3.1)];
    const kernel = (a: Float64Array, i: number, b: Float64Array, j: number) =>
      ([0, 1, 2].reduce((sum, k) => sum + a[i * 3 + k] * b[j * 3 + k], 0) / 3 + 1) ** 3;
    let expected = 0;
    for (let i = 0; i < 70; i++) {
      for (let j = 0; j < 70; j++) {
        expected -= (2 * kernel(x, i, y, j)) / 70 ** 2;
        if (i !== j) expected += (kernel(x, i, x, j) + kernel(y, i, y, j)) / (70 * 69);
      }
    }
    const { mean } = kernelDistance(
      { values: x, dimensions: 3 },
      { values: y, dimensions: 3 },
      { random: Math.random },
    );
    expect(mean).toBeCloseTo(expected, 12);
  });

  it('refuses different dimensions', () => {
    const set = { values: [1, 2, 3, 4], dimensions: 2 };
    expect(() => kernelDistance(set, { ...set, dimensions: 1 }, { random: Math.random })).toThrow(/got 2 and 1/);
  });
});

describe('inceptionScore', () => {
  it('is 1 when all predictions agree and K when they are certain and even', () => {
    expect(inceptionScore([1, 2, 1, 2, 1, 2, 1, 2], 2, { splits: 2 }).mean).toBeCloseTo(1, 12);
    const certain = [0, 1, 2, 3].flatMap((k) => [0, 1, 2, 3].map((j) => (j === k ? 1000 : 0)));
    expect(inceptionScore(certain, 4, { splits: 1 }).mean).toBeCloseTo(4, 12);
  });

  it('refuses more splits than samples', () => {
    expect(() => inceptionScore([1, 2], 2)).toThrow(/splits must be an integer from 1 to the 1 samples/);
  });
});

describe('image quality', () => {
  const image = (noise: number) => ({
    data: Array.from({ length: 16 * 16 }, (_, i) => 0.5 + 0.3 * Math.sin(i / 9) + noise * Math.sin(i * 12.9)),
    height: 16,
    width: 16,
  });

  it('falls as noise grows', () => {
    const scores = [0.01, 0.05, 0.2].map((noise) => [psnr(image(0), image(noise), 1), ssim(image(0), image(noise), 1)]);
    for (let i = 1; i < scores.length; i++) {
      expect(scores[i][0]).toBeLessThan(scores[i - 1][0]);
      expect(scores[i][1]).toBeLessThan(scores[i - 1][1]);
    }
  });

  it('refuses images of different or too small size', () => {
    const small = { data: [0, 1], height: 1, width: 2 };
    expect(() => psnr(image(0), small)).toThrow(/same size, got 16×16×1 and 2×1×1/);
    expect(() => ssim(small, small)).toThrow(/at least 11×11/);
  });
});
