// The standard normal distribution in full double precision.

const SQRT_2_PI = Math.sqrt(2 * Math.PI);

/** Standard normal density φ(x). */
export function normalDensity(x: number): number {
  return Math.exp(-0.5 * x * x) / SQRT_2_PI;
}

/** Error function erf(x) to a few units in the last place of a double. */
export function erf(x: number): number {
  const size = Math.abs(x);
  const value = size < 2.5 ? erfSeries(size) : 1 - erfcContinuedFraction(size);
  return x < 0 ? -value : value;
}

/** Complementary error function 1 − erf(x), to full relative precision where it is small. */
export function erfc(x: number): number {
  return x < 1 ? 1 - erf(x) : erfcContinuedFraction(x);
}

/** erf(x) = 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·5 … (2n+1)); all terms are positive, so nothing cancels. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** erfc(x) = exp(−x²)/√π / (x + ½/(x + 1/(x + 3⁄2/(x + …)))), evaluated from the inside; for x ≥ 1. */
function erfcContinuedFraction(x: number): number {
  if (x > 27.5) return 0; // below the smallest double
  let tail = x;
  for (let n = Math.ceil(40 + 400 / (x * x)); n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}

/**
 * Quantile function Φ⁻¹(p) of the standard normal distribution: ±Infinity at 1 and 0.
 * A start within 4.5e-4 (Abramowitz & Stegun 26.2.23) is refined by Halley's method on Φ.
 *
 * @throws RangeError if `p` is outside [0, 1]
 */
export function normalQuantile(p: number): number {
  if (!(p >= 0 && p <= 1)) throw new RangeError(`normalQuantile: p must lie in [0, 1], got ${p}`);
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p === 0.5) return 0;
  if (p === 0) return Number.NEGATIVE_INFINITY;
  const t = Math.sqrt(-2 * Math.log(p));
  const numerator = 2.515517 + t * (0.802853 + t * 0.010328);
  const denominator = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308));
  let x = numerator / denominator - t;
  for (let step = 0; step < 3; step++) {
    // Near the centre Φ(x) − p cancels less when both are measured from ½.
    const error = p > 0.25 ? 0.5 * erf(x / Math.SQRT2) - (p - 0.5) : 0.5 * erfc(-x / Math.SQRT2) - p;
    const newton = error / normalDensity(x);
    x -= newton / (1 + 0.5 * x * newton);
  }
  return x;
}
