import { createPanels } from './row-products.js';
import type { SemidefiniteFactor } from './semidefinite-factor.js';

/**
 * Lᵀ S L for a factor L of another matrix: symmetric [r, r], with the non-zero eigenvalues of L Lᵀ S. Only its lower
 * triangle is filled. All products are dot products of contiguous rows, because they are the hot loops.
 *
 * @param matrix - symmetric S [n, n], row-major, in the original (unpermuted) order; not changed
 */
export function congruence({ rank, order, rows }: SemidefiniteFactor, matrix: Float64Array, n: number): Float64Array {
  const permuted = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const source = order[i] * n;
    for (let j = 0; j < n; j++) permuted[i * n + j] = matrix[source + order[j]];
  }
  const half = new Float64Array(rank * n); // (S L)ᵀ, row a = column a of S L
  triangularDots(rows, permuted, n, rank, n, (a, b, value) => {
    half[a * n + b] = value;
  });
  const result = new Float64Array(rank * rank);
  triangularDots(rows, half, n, rank, rank, (a, b, value) => {
    if (b <= a) result[a * rank + b] = value;
  });
  return result;
}

/**
 * Dot products of row a of the upper-triangular `left` with row b of `right`, for all a < leftRows, b < rightRows; the
 * sums leave out most of the zeros before the diagonal of `left`.
 */
function triangularDots(
  left: Float64Array,
  right: Float64Array,
  n: number,
  leftRows: number,
  rightRows: number,
  store: (a: number, b: number, value: number) => void,
): void {
  const panels = createPanels(n, leftRows, rightRows);
  const copyRows = (from: Float64Array, count: number, to: Float64Array) => {
    for (let i = 0; i < count; i++) to.set(from.subarray(i * n, (i + 1) * n), i * panels.stride);
  };
  copyRows(left, leftRows, panels.left);
  copyRows(right, rightRows, panels.right);
  for (let a = 0; a < leftRows; a += 2) {
    for (let b = 0; b < rightRows; b += 4) {
      panels.multiply(a, b, a - (a % 4));
      for (let i = 0; i < 2 && a + i < leftRows; i++) {
        for (let j = 0; j < 4 && b + j < rightRows; j++) store(a + i, b + j, panels.sums[i * 4 + j]);
      }
    }
  }
}
