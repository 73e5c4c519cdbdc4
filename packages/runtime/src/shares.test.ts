import { expect, it } from 'vitest';
import { oneProcess, shareOf, shareRange } from './index.js';

it.each([0, 1, 2, 7, 8, 9, 1000])('gives every one of %i items to one share', (length) => {
  const items = Array.from({ length }, (_, place) => place);
  for (const count of [1, 2, 3, 8, 64]) {
    const shares = Array.from({ length: count }, (_, index) => shareOf(items, { index, count }));
    expect(shares.flat()).toEqual(items);
    const sizes = shares.map((share) => share.length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  }
  expect(shareOf(items, oneProcess)).toEqual(items);
});

it('refuses a share that does not exist', () => {
  expect(() => shareRange(3, { index: 2, count: 2 })).toThrow('index must be from 0 to 1, got 2');
  expect(() => shareRange(3, { index: 0.5, count: 2 })).toThrow(RangeError);
});
