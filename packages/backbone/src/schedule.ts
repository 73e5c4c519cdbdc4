/**
 * How many positions stay masked after one step of sampling: the cosine schedule of MaskGIT (Chang et al. 2022) as the
 * reference applies it. Every step predicts at least one position and leaves at least one, until the last leaves none.
 *
 * @param step - 0 … steps − 1
 * @param masked - positions masked before the step; with 1 left before the last step, nothing is predicted
 * @returns 0 … masked
 */
export function maskedAfterStep(step: number, steps: number, positions: number, masked: number): number {
  if (step >= steps - 1) return 0;
  const ratio = Math.cos(((Math.PI / 2) * (step + 1)) / steps);
  return Math.max(1, Math.min(masked - 1, Math.floor(positions * ratio)));
}

/**
 * The guidance scale of one step. As in the reference, the linear schedule goes by the positions that are known *after* the
 * step, and leaves one masked even after the last: it ends just below `scale`.
 *
 * @param maskedAfter - positions masked after the step
 */
export function guidanceScale(
  schedule: 'linear' | 'constant',
  scale: number,
  positions: number,
  maskedAfter: number,
): number {
  if (schedule === 'constant') return scale;
  return 1 + ((scale - 1) * (positions - Math.max(1, maskedAfter))) / positions;
}
