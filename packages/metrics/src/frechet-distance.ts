import type { GaussianStatistics } from './gaussian-statistics.js';
import { congruence } from './linear-algebra/congruence.js';
import { semidefiniteFactor } from './linear-algebra/semidefinite-factor.js';
import { symmetricEigenvalues } from './linear-algebra/symmetric-eigenvalues.js';

/** A Gaussian distribution: mean and covariance. */
export type Gaussian = Pick<GaussianStatistics, 'mean' | 'covariance'>;

/**
 * Squared Fréchet (2-Wasserstein) distance between two Gaussians, in float64:
 *
 *   |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁ Σ₂)^½       (Heusel et al. 2017, Eq. 6)
 *
 * The last trace is the sum of the square roots of the eigenvalues of Σ₁Σ₂. With Σ₁ = L Lᵀ they are those of the
 * symmetric, positive semidefinite Lᵀ Σ₂ L: no matrix square root, nothing imaginary, and no offset on the diagonal
 * even where both covariances are singular.
 *
 * @returns a finite number, at least 0
 * @throws RangeError if sizes disagree, or a covariance is not finite or has a negative variance
 */
export function frechetDistance(first: Gaussian, second: Gaussian): number {
  const d = checkGaussians(first, second);
  let mean = 0;
  let traces = 0;
  for (let i = 0; i < d; i++) {
    mean += (first.mean[i] - second.mean[i]) ** 2;
    traces += first.covariance[i * d + i] + second.covariance[i * d + i];
  }
  const factor = semidefiniteFactor(first.covariance, d);
  const eigenvalues = symmetricEigenvalues(congruence(factor, second.covariance, d), factor.rank);
  let rootTrace = 0;
  for (const value of eigenvalues) rootTrace += Math.sqrt(Math.max(value, 0)); // below 0 is rounding
  return Math.max(0, mean + traces - 2 * rootTrace);
}

function checkGaussians(first: Gaussian, second: Gaussian): number {
  const d = first.mean.length;
  if (second.mean.length !== d) {
    throw new RangeError(
      `frechetDistance: both means must have the same length, got ${d} and ${second.mean.length}; were they made with different feature extractors?`,
    );
  }
  for (const { mean, covariance } of [first, second]) {
    if (covariance.length !== d * d) {
      throw new RangeError(`frechetDistance: covariance must have ${d}·${d} elements, got ${covariance.length}`);
    }
    if (!mean.every(Number.isFinite) || !covariance.every(Number.isFinite)) {
      throw new RangeError('frechetDistance: mean and covariance must be finite numbers');
    }
  }
  return d;
}
