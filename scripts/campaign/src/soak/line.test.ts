import { expect, it } from 'vitest';
import { fitLine } from './line.js';

it('finds the line of points on it, and the one of least squares of others', () => {
  const { start, slope } = fitLine([1, 2, 5, 9].map((x) => [x, 3 - 0.5 * x]));
  expect(start).toBeCloseTo(3);
  expect(slope).toBeCloseTo(-0.5);
  expect(
    fitLine([
      [0, 0],
      [1, 1],
      [2, 0],
    ]),
  ).toEqual({ start: 1 / 3, slope: 0 }); // prettier-ignore
  expect(() =>
    fitLine([
      [1, 1],
      [1, 2],
    ]),
  ).toThrow('two places'); // prettier-ignore
});
