import { expect } from 'vitest';

/** max |actual − expected| / max |expected|: the error relative to the tensor's own scale. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length, 'number of elements').toBe(expected.length);
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const gap = actual[i] === expected[i] ? 0 : Math.abs(actual[i] - expected[i]); // 0 for equal infinities
    if (Number.isNaN(gap)) return Number.NaN; // close to nothing
    difference = Math.max(difference, gap);
    if (Number.isFinite(expected[i])) scale = Math.max(scale, Math.abs(expected[i]));
  }
  return difference === 0 ? 0 : difference / scale;
}

/** Fails unless `relativeError(actual, expected)` is at most `tolerance`. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  name = '',
): void {
  expect(relativeError(actual, expected), `${name} relative error`).toBeLessThanOrEqual(tolerance);
}
