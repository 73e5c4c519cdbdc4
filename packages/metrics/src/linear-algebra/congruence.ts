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
 * sum starts at the diagonal of `left`. Four rows by two are kept in registers.
 */
function triangularDots(
  left: Float64Array,
  right: Float64Array,
  n: number,
  leftRows: number,
  rightRows: number,
  store: (a: number, b: number, value: number) => void,
): void {
  // Rows past the end are computed from the last row again and not stored.
  const clampRow = (row: number, count: number) => Math.min(row, count - 1) * n;
  const sums = new Float64Array(8);
  for (let a = 0; a < leftRows; a += 2) {
    const p = clampRow(a, leftRows);
    const q = clampRow(a + 1, leftRows);
    for (let b = 0; b < rightRows; b += 4) {
      const offsets = [
        clampRow(b, rightRows),
        clampRow(b + 1, rightRows),
        clampRow(b + 2, rightRows),
        clampRow(b + 3, rightRows),
      ];
      dotsTwoByFour(left, p, q, right, offsets[0], offsets[1], offsets[2], offsets[3], a, n, sums);
      for (let i = 0; i < 2 && a + i < leftRows; i++) {
        for (let j = 0; j < 4 && b + j < rightRows; j++) store(a + i, b + j, sums[i * 4 + j]);
      }
    }
  }
}

function dotsTwoByFour(
  left: Float64Array,
  p: number,
  q: number,
  right: Float64Array,
  r: number,
  s: number,
  t: number,
  u: number,
  from: number,
  to: number,
  sums: Float64Array,
): void {
  let pr = 0;
  let ps = 0;
  let pt = 0;
  let pu = 0;
  let qr = 0;
  let qs = 0;
  let qt = 0;
  let qu = 0;
  for (let k = from; k < to; k++) {
    const x = left[p + k];
    const y = left[q + k];
    const rk = right[r + k];
    const sk = right[s + k];
    const tk = right[t + k];
    const uk = right[u + k];
    pr += x * rk;
    ps += x * sk;
    pt += x * tk;
    pu += x * uk;
    qr += y * rk;
    qs += y * sk;
    qt += y * tk;
    qu += y * uk;
  }
  sums[0] = pr;
  sums[1] = ps;
  sums[2] = pt;
  sums[3] = pu;
  sums[4] = qr;
  sums[5] = qs;
  sums[6] = qt;
  sums[7] = qu;
}
