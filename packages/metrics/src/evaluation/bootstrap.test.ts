import { hostRandom } from '@tb/runtime';
import { expect, it } from 'vitest';
import { frechetDistance } from '../frechet-distance.js';
import { gaussianStatistics } from '../gaussian-statistics.js';
import { bootstrapInterval } from './bootstrap.js';

const D = 3;
const draw = (count: number, seed: number, shift = 0) => {
  const { normal } = hostRandom(seed);
  return Float32Array.from({ length: count * D }, () => shift + normal());
};
const reference = gaussianStatistics(draw(4000, 1), D);
const interval = (features: Float32Array, seed: number, options: { resamples?: number; count?: number } = {}) => {
  const distance = frechetDistance(gaussianStatistics(features, D), reference);
  return { distance, ...bootstrapInterval(features, reference, distance, hostRandom(seed).uniform, options) };
};

it('covers the distance of the population about as often as it says', () => {
  // Three standard normals shifted by one: the distance to those at the origin is 3.
  const covered = Array.from({ length: 60 }, (_, i) => interval(draw(200, 10 + i, 1), i, { resamples: 40 })).filter(
    ({ low, high }) => low <= 3 && 3 <= high,
  );
  expect(covered.length).toBeGreaterThan(0.85 * 60);
});

it('narrows with the root of the count when only some of the features were kept', () => {
  const features = draw(100, 3, 1);
  const [some, all] = [interval(features, 4), interval(features, 4, { count: 400 })];
  expect(all.high - all.distance).toBeCloseTo((some.high - some.distance) / 2, 9);
});

it('refuses a single draw', () => {
  expect(() => interval(draw(10, 5), 6, { resamples: 1 })).toThrow(/resamples must be at least 2, got 1/);
});
