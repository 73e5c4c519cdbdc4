/**
 * Cholesky factor with diagonal pivoting of a positive semidefinite matrix: correct for rank-deficient covariances
 * (Higham, Accuracy and Stability of Numerical Algorithms, 10.3).
 */

export type SemidefiniteFactor = {
  /** Numerical rank r ≤ n. */
  readonly rank: number;
  /** `order[i]` is the original index of the i-th row and column of the permuted matrix. */
  readonly order: Uint32Array;
  /** Upper-triangular rows Lᵀ [r, n]: the permuted matrix is L·Lᵀ; entries left of the diagonal are zero. */
  readonly rows: Float64Array;
};

/**
 * @param matrix - symmetric positive semidefinite [n, n], row-major; not changed
 * @throws RangeError if a diagonal element is negative beyond rounding
 */
export function semidefiniteFactor(matrix: Float64Array, n: number): SemidefiniteFactor {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const residual = Float64Array.from({ length: n }, (_, i) => matrix[i * n + i]);
  const largest = residual.reduce((a, b) => Math.max(a, b), 0);
  const tolerance = n * Number.EPSILON * largest;
  const negative = residual.findIndex((value) => value < -tolerance);
  if (negative >= 0) {
    throw new RangeError(
      `semidefiniteFactor: the variance of dimension ${negative} must not be negative, got ${residual[negative]}`,
    );
  }
  const rows = new Float64Array(n * n);
  let rank = 0;
  for (; rank < n; rank++) {
    let pivot = rank;
    for (let i = rank + 1; i < n; i++) if (residual[i] > residual[pivot]) pivot = i;
    if (!(residual[pivot] > tolerance)) break;
    if (pivot !== rank) exchange(rows, n, rank, pivot, order, residual);
    eliminate(matrix, n, rank, order, rows, residual);
  }
  return { rank, order, rows: rows.subarray(0, rank * n) };
}

function exchange(
  rows: Float64Array,
  n: number,
  first: number,
  second: number,
  order: Uint32Array,
  residual: Float64Array,
): void {
  for (let k = 0; k < first; k++) {
    const row = k * n;
    [rows[row + first], rows[row + second]] = [rows[row + second], rows[row + first]];
  }
  [order[first], order[second]] = [order[second], order[first]];
  [residual[first], residual[second]] = [residual[second], residual[first]];
}

/** Computes row `step` of Lᵀ from the matrix and the rows above, four of them at a time, and updates the residuals. */
function eliminate(
  matrix: Float64Array,
  n: number,
  step: number,
  order: Uint32Array,
  rows: Float64Array,
  residual: Float64Array,
): void {
  const target = rows.subarray(step * n, step * n + n);
  const source = order[step] * n;
  for (let i = step + 1; i < n; i++) target[i] = matrix[source + order[i]];
  let k = 0;
  for (; k + 4 <= step; k += 4) {
    const r0 = k * n;
    const r1 = r0 + n;
    const r2 = r1 + n;
    const r3 = r2 + n;
    const c0 = rows[r0 + step];
    const c1 = rows[r1 + step];
    const c2 = rows[r2 + step];
    const c3 = rows[r3 + step];
    for (let i = step + 1; i < n; i++) {
      target[i] -= c0 * rows[r0 + i] + c1 * rows[r1 + i] + c2 * rows[r2 + i] + c3 * rows[r3 + i];
    }
  }
  for (; k < step; k++) {
    const row = k * n;
    const c = rows[row + step];
    for (let i = step + 1; i < n; i++) target[i] -= c * rows[row + i];
  }
  const diagonal = Math.sqrt(residual[step]);
  target[step] = diagonal;
  for (let i = step + 1; i < n; i++) {
    target[i] /= diagonal;
    residual[i] -= target[i] * target[i];
  }
}
