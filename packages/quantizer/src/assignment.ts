// From a value to its index and back (Eq. 1, 4 and 5). These functions define the quantizer; the fast paths are derived from
// them. The released code takes the nearest codeword, the lower index on ties, rather than the bin of Eq. 2.

/** One channel's interval of latent values, mapped onto [−range, range]. */
export type Interval = { min: number; max: number };

/** x ↦ index, defined for every number but NaN, and non-decreasing. */
export type Assignment = (x: number) => number;

/**
 * Quantizes with the released code's arithmetic (Eq. 1 and 4): ξ = (x − min) / (max − min) · 2·range − range, clamped to
 * ±range, every operation rounded to float32, then the first nearest of the float32 codebook.
 */
export function referenceAssignment(codebook: Float32Array, range: number, { min, max }: Interval): Assignment {
  const f32 = Math.fround;
  const [offset, width, span, limit] = [f32(min), f32(max - min), f32(2 * range), f32(range)];
  return withEnds(codebook.length, (x) => {
    const xi = f32(f32(f32(f32(x - offset) / width) * span) - limit);
    return nearest(codebook, Math.min(Math.max(xi, -limit), limit), f32);
  });
}

/** Quantizes in float64 (Eq. 1 and 4). With unbounded tails ξ is not clamped, because codewords may lie beyond ±range. */
export function exactAssignment(
  codebook: Float64Array,
  range: number,
  { min, max }: Interval,
  clamped: boolean,
): Assignment {
  const limit = clamped ? range : Number.POSITIVE_INFINITY;
  return withEnds(codebook.length, (x) => {
    const xi = ((x - min) / (max - min)) * (2 * range) - range;
    return nearest(codebook, Math.min(Math.max(xi, -limit), limit), Number);
  });
}

/** Quantizes into bins of equal width: floor((x − min) / width), a value on an edge belongs to the bin above it. */
export function linearAssignment(levels: number, { min, max }: Interval): Assignment {
  const width = (max - min) / levels;
  return withEnds(levels, (x) => Math.min(Math.max(Math.floor((x - min) / width), 0), levels - 1));
}

/** De-quantizes in float64 (Eq. 5), from a codeword γ to units of x: (γ + range) / (2·range) · (max − min) + min. */
export function exactValue(gamma: number, range: number, { min, max }: Interval): number {
  return ((gamma + range) / (2 * range)) * (max - min) + min;
}

/** De-quantizes as the released code does (Eq. 5): as `exactValue`, with every operation rounded to float32. */
export function referenceValue(gamma: number, range: number, { min, max }: Interval): number {
  const f32 = Math.fround;
  return f32(f32(f32(f32(gamma + f32(range)) / f32(2 * range)) * f32(max - min)) + f32(min));
}

const withEnds =
  (levels: number, assign: Assignment): Assignment =>
  (x) =>
    x === Number.POSITIVE_INFINITY ? levels - 1 : x === Number.NEGATIVE_INFINITY ? 0 : assign(x);

/**
 * Finds the nearest codeword (Eq. 4): the first index of the smallest |ξ − γ|.
 *
 * @param codebook - ascending
 * @param round - rounds each distance
 */
function nearest(codebook: ArrayLike<number>, xi: number, round: (x: number) => number): number {
  const above = firstAtLeast(codebook, xi);
  if (above === 0) return 0;
  const isBelowNearer = above === codebook.length || round(xi - codebook[above - 1]) <= round(codebook[above] - xi);
  if (!isBelowNearer) return above;
  let first = above - 1;
  while (first > 0 && codebook[first - 1] === codebook[first]) first--; // empty bins share a codeword: the first counts
  return first;
}

/** Number of elements of an ascending array that are less than `x`. */
function firstAtLeast(ascending: ArrayLike<number>, x: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}
