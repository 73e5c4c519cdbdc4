import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createPanels, forEachProductTile } from './row-products.js';

const rows = (count: number, length: number, seed: number) =>
  Float64Array.from({ length: count * length }, (_, i) => Math.sin(i * 12.9898 + seed) * 3);

function dot(a: Float64Array, i: number, b: Float64Array, j: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += a[i * length + k] * b[j * length + k];
  return sum;
}

const sizes = fc.tuple(
  fc.integer({ min: 1, max: 140 }),
  fc.integer({ min: 1, max: 140 }),
  fc.integer({ min: 1, max: 9 }),
);

it('gives every product of two sets of any size', () => {
  fc.assert(
    fc.property(sizes, ([m, n, length]) => {
      const [a, b] = [rows(m, length, 1), rows(n, length, 2)];
      let seen = 0;
      forEachProductTile(length, a, b, ({ first, second, rows, columns, products }) => {
        seen += rows * columns;
        for (let i = 0; i < rows; i++) {
          const j = (i * 7) % columns;
          expect(products[i * columns + j]).toBeCloseTo(dot(a, first + i, b, second + j, length), 10);
        }
      });
      expect(seen).toBe(m * n);
    }),
    { numRuns: 40 },
  );
});

it('gives every product within one set on and below the diagonal', () => {
  fc.assert(
    fc.property(sizes, ([m, , length]) => {
      const a = rows(m, length, 3);
      const seen = new Set<number>();
      forEachProductTile(length, a, undefined, ({ first, second, rows, columns, products }) => {
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            if (second + j > first + i) continue;
            seen.add((first + i) * m + second + j);
            expect(products[i * columns + j]).toBeCloseTo(dot(a, first + i, a, second + j, length), 10);
          }
        }
      });
      expect(seen.size).toBe((m * (m + 1)) / 2);
    }),
    { numRuns: 20 },
  );
});

it('starts where it is told', () => {
  const panels = createPanels(10, 2, 4);
  panels.left.fill(1);
  panels.right.fill(2);
  expect(panels.stride).toBe(12);
  panels.multiply(0, 0, 8);
  expect([...panels.sums]).toEqual(Array(8).fill(8));
});
