import fc from 'fast-check';
import { expect, test } from 'vitest';
import { useBackend } from '../backends/use-backend.js';
import { hostRandom } from './host-random.js';
import { foldIn, randomKey, uniform } from './random.js';

test('draws what the tensor of the same key holds', async () => {
  await useBackend('cpu');
  const random = hostRandom(11n, 3, 4);
  const tensor = uniform(foldIn(foldIn(randomKey(11), 3), 4), [5]);
  expect(Array.from({ length: 5 }, () => random.uniform())).toEqual(Array.from(tensor.dataSync()));
});

test('paths are independent of one another', () => {
  const first = (...path: number[]) => hostRandom(1, ...path).uniform();
  expect(new Set([first(), first(0), first(1), first(0, 0), first(0, 1), first(1, 0)]).size).toBe(6);
  expect(first(1, 2)).toBe(first(1, 2));
});

test('normal has mean 0 and variance 1', () => {
  const random = hostRandom(5);
  const sample = Array.from({ length: 20_000 }, () => random.normal());
  const mean = sample.reduce((sum, x) => sum + x, 0) / sample.length;
  const variance = sample.reduce((sum, x) => sum + (x - mean) ** 2, 0) / sample.length;
  expect(Math.abs(mean)).toBeLessThan(2.6 / Math.sqrt(20_000));
  expect(Math.abs(variance - 1)).toBeLessThan(2.6 * Math.sqrt(2 / 20_000));
});

test('integers reach their whole range evenly', () => {
  const random = hostRandom(6);
  const counts = new Array(6).fill(0);
  for (let i = 0; i < 12_000; i++) counts[random.integers(-2, 4) + 2]++;
  expect(counts.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0)).toBeLessThan(15.1); // 1 % point, 5 degrees
  expect(random.integers(7, 8)).toBe(7);
  expect(random.integers(0, 2 ** 32)).toBeLessThan(2 ** 32);
  expect(() => random.integers(3, 3)).toThrow(/1 to 2\^32 apart, got 3 and 3/);
});

test('permutation holds every index once', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(200), (seed, length) => {
      const order = hostRandom(seed).permutation(length);
      expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, index) => index));
    }),
  );
});
