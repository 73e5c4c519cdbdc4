/**
 * Eigenvalues of a real symmetric matrix in float64, without eigenvectors: Householder reduction to tridiagonal form,
 * then the implicit QL iteration with Wilkinson's shift (Golub and Van Loan, Matrix Computations, 8.3).
 *
 * n = order of the matrix. Matrices are row-major Float64Array of length n·n.
 */

const MAXIMAL_SWEEPS = 60;

/**
 * @param matrix - symmetric matrix [n, n]; only its lower triangle is read. It is overwritten.
 * @returns the n eigenvalues in ascending order
 * @throws RangeError if the matrix is not square or holds NaN or infinities
 */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  if (matrix.length !== n * n) {
    throw new RangeError(`symmetricEigenvalues: matrix must have ${n}·${n} elements, got ${matrix.length}`);
  }
  const bad = matrix.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new RangeError(
      `symmetricEigenvalues: matrix must be finite, got ${matrix[bad]} at row ${Math.floor(bad / n)}, column ${bad % n}`,
    );
  }
  const { diagonal, offDiagonal } = tridiagonalize(matrix, n);
  tridiagonalEigenvalues(diagonal, offDiagonal);
  return diagonal.sort();
}

/**
 * Householder reduction from the last row upwards. The rank-two update of one step and the matrix-vector product of the
 * next share one pass over the lower triangle, because that pass is bound by memory.
 */
function tridiagonalize(a: Float64Array, n: number): { diagonal: Float64Array; offDiagonal: Float64Array } {
  const diagonal = new Float64Array(n);
  const offDiagonal = new Float64Array(n); // [i] couples i − 1 and i
  let reflector = new Float64Array(n);
  let companion = new Float64Array(n);
  let nextReflector = new Float64Array(n);
  let product = new Float64Array(n);
  for (let last = n - 1; last >= 1; last--) {
    const row = last * n;
    if (last < n - 1) updateRow(a, row, last, reflector, companion);
    diagonal[last] = a[row + last];
    const scaleSquared = householder(a, row, last, nextReflector, offDiagonal);
    updateAndMultiply(a, n, last, last < n - 1 ? reflector : undefined, companion, nextReflector, product);
    // companion w = (p − (p·v/2h) v)/h with h = |v|²/2, so that A' = A − v wᵀ − w vᵀ
    let dot = 0;
    for (let i = 0; i < last; i++) dot += product[i] * nextReflector[i];
    const inverse = scaleSquared === 0 ? 0 : 1 / scaleSquared;
    const correction = 0.5 * dot * inverse;
    for (let i = 0; i < last; i++) product[i] = (product[i] - correction * nextReflector[i]) * inverse;
    [reflector, nextReflector] = [nextReflector, reflector];
    [companion, product] = [product, companion];
  }
  if (n > 1) updateRow(a, 0, 0, reflector, companion);
  diagonal[0] = a[0];
  return { diagonal, offDiagonal };
}

/** Applies the pending rank-two update to row `last`, columns 0 to last. */
function updateRow(a: Float64Array, row: number, last: number, v: Float64Array, w: Float64Array): void {
  const vLast = v[last];
  const wLast = w[last];
  for (let j = 0; j <= last; j++) a[row + j] -= vLast * w[j] + wLast * v[j];
}

/**
 * Reflector that maps the row's first `length` entries to a multiple of the last of them.
 * @returns h = |v|²/2, zero where nothing needs to be done
 */
function householder(a: Float64Array, row: number, length: number, v: Float64Array, offDiagonal: Float64Array): number {
  let scale = 0;
  for (let j = 0; j < length; j++) scale = Math.max(scale, Math.abs(a[row + j]));
  if (scale === 0 || length === 1) {
    offDiagonal[length] = length === 1 ? a[row] : 0;
    v.fill(0, 0, length);
    return 0;
  }
  let norm = 0;
  for (let j = 0; j < length; j++) {
    v[j] = a[row + j] / scale;
    norm += v[j] * v[j];
  }
  const pivot = v[length - 1];
  const alpha = pivot >= 0 ? -Math.sqrt(norm) : Math.sqrt(norm);
  offDiagonal[length] = alpha * scale;
  v[length - 1] = pivot - alpha;
  return norm - pivot * alpha;
}

/** A ← A − v wᵀ − w vᵀ on the leading block (if v is given), and product ← A u, from the lower triangle alone. */
function updateAndMultiply(
  a: Float64Array,
  n: number,
  size: number,
  v: Float64Array | undefined,
  w: Float64Array,
  u: Float64Array,
  product: Float64Array,
): void {
  product.fill(0, 0, size);
  for (let i = 0; i < size; i++) {
    const row = i * n;
    const ui = u[i];
    let sum = 0;
    if (v === undefined) {
      for (let j = 0; j < i; j++) {
        const value = a[row + j];
        sum += value * u[j];
        product[j] += value * ui;
      }
    } else {
      const vi = v[i];
      const wi = w[i];
      for (let j = 0; j < i; j++) {
        const value = a[row + j] - vi * w[j] - wi * v[j];
        a[row + j] = value;
        sum += value * u[j];
        product[j] += value * ui;
      }
      a[row + i] -= 2 * vi * wi;
    }
    product[i] += sum + a[row + i] * ui;
  }
}

/** Implicit QL on the tridiagonal matrix; `diagonal` becomes the eigenvalues, unsorted. */
function tridiagonalEigenvalues(diagonal: Float64Array, offDiagonal: Float64Array): void {
  const n = diagonal.length;
  const e = new Float64Array(n);
  for (let i = 1; i < n; i++) e[i - 1] = offDiagonal[i];
  for (let start = 0; start < n; start++) {
    for (let sweep = 0; ; sweep++) {
      const end = firstNegligible(diagonal, e, start);
      if (end === start) break;
      if (sweep === MAXIMAL_SWEEPS) throw new RangeError('symmetricEigenvalues: the QL iteration did not converge');
      qlSweep(diagonal, e, start, end);
    }
  }
}

/** The first index at or after `start` whose off-diagonal element is negligible: the end of the unreduced block. */
function firstNegligible(d: Float64Array, e: Float64Array, start: number): number {
  for (let m = start; m < d.length - 1; m++) {
    if (Math.abs(e[m]) <= Number.EPSILON * (Math.abs(d[m]) + Math.abs(d[m + 1]))) return m;
  }
  return d.length - 1;
}

/** One implicit QL sweep from `end` to `start`, by plane rotations. */
function qlSweep(d: Float64Array, e: Float64Array, start: number, end: number): void {
  const ratio = (d[start + 1] - d[start]) / (2 * e[start]);
  const root = Math.hypot(ratio, 1);
  let g = d[end] - d[start] + e[start] / (ratio + (ratio >= 0 ? root : -root));
  let sine = 1;
  let cosine = 1;
  let shift = 0;
  for (let i = end - 1; i >= start; i--) {
    const f = sine * e[i];
    const b = cosine * e[i];
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      // the matrix splits here: undo the shift and begin again
      d[i + 1] -= shift;
      e[end] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1] - shift;
    const t = (d[i] - g) * sine + 2 * cosine * b;
    shift = sine * t;
    d[i + 1] = g + shift;
    g = cosine * t - b;
  }
  d[start] -= shift;
  e[start] = g;
  e[end] = 0;
}
