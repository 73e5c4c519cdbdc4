import fc from 'fast-check';
import { expect, it } from 'vitest';
import { truncatedNormalMean } from './codebook.js';
import { erf, erfc, normalQuantile } from './normal-distribution.js';

it('has the published values', () => {
  // Abramowitz & Stegun, Tab. 7.1 and 7.3; the quantiles are those of 0.975 and 1e-10.
  for (const [x, value] of [
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
  ])
    expect(Math.abs(erf(x) - value)).toBeLessThan(3e-16);
  for (const [x, value] of [
    [5, 1.5374597944280349e-12],
    [10, 2.088487583762545e-45],
  ])
    expect(Math.abs(erfc(x) / value - 1)).toBeLessThan(5e-15);
  expect(Math.abs(normalQuantile(0.975) - 1.959963984540054)).toBeLessThan(1.5e-15);
  expect(Math.abs(normalQuantile(1e-10) + 6.361340902404056)).toBeLessThan(4e-15);
  expect([normalQuantile(0), normalQuantile(0.5), normalQuantile(1)]).toEqual([-Infinity, 0, Infinity]);
});

it('is odd, complementary and inverse to the quantile', () => {
  fc.assert(
    fc.property(fc.double({ min: -6, max: 6, noNaN: true }), (x) => {
      expect(erf(-x) + erf(x)).toBe(0);
      expect(Math.abs(erf(x) + erfc(x) - 1)).toBeLessThan(4e-16);
    }),
  );
  fc.assert(
    fc.property(fc.double({ min: 1e-300, max: 0.5, noNaN: true }), (p) => {
      // An error of one unit in the last place of x is one of up to 1e-12 in p, far in the tail.
      expect(Math.abs((0.5 * erfc(-normalQuantile(p) / Math.SQRT2)) / p - 1)).toBeLessThan(1e-12);
    }),
  );
});

it('integrates narrow bins as the closed form does wide ones', () => {
  fc.assert(
    fc.property(fc.double({ min: -5, max: 5, noNaN: true }), (low) => {
      const [narrow, wide] = [truncatedNormalMean(low, low + 1), truncatedNormalMean(low, low + 1 + 1e-12)];
      expect(Math.abs(narrow - wide)).toBeLessThan(3e-12);
    }),
  );
});

it('rejects probabilities outside [0, 1]', () => {
  expect(() => normalQuantile(1.5)).toThrow('p must lie in [0, 1], got 1.5');
});
