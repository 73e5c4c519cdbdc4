/** A learning-rate schedule. All lengths share one unit: steps, or (fractional) epochs. */
export type ScheduleOptions = {
  /** What follows the warm-up. */
  kind: 'cosine' | 'constant';
  /** Learning rate after the warm-up. */
  peak: number;
  /** Rate at the end of a cosine. */
  minimum: number;
  /** Length of the linear warm-up, in the unit of `position`. */
  warmup: number;
  /** Length of the run, in the unit of `position`. */
  total: number;
};

/**
 * Learning rate at a position of the run: linear warm-up from 0, then constant or half a cosine down to `minimum`,
 * as the reference does. `position`, `warmup` and `total` share one unit: steps or (fractional) epochs.
 */
export function learningRateAt({ kind, peak, minimum, warmup, total }: ScheduleOptions, position: number): number {
  if (position < warmup) return (peak * position) / warmup;
  if (kind === 'constant') return peak;
  const progress = Math.min(1, (position - warmup) / Math.max(total - warmup, Number.MIN_VALUE));
  return minimum + (peak - minimum) * 0.5 * (1 + Math.cos(Math.PI * progress));
}

/** The linear scaling rule of the reference: the rate grows with the batch, `base * batch / 256`. */
export function scaledLearningRate(base: number, batch: number): number {
  return (base * batch) / 256;
}
