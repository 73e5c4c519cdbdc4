/** Inception Score (Salimans et al. 2016), as torch-fidelity computes it. N = samples, K = classes. */

export type InceptionScoreOptions = {
  /** Number of consecutive parts, each scored alone; 10 is the field's convention. */
  readonly splits?: number;
  /** Order in which samples are dealt to the parts; default: as they come. */
  readonly order?: ArrayLike<number>;
};

export type InceptionScore = {
  readonly mean: number;
  /** Standard deviation over the parts (divisor = number of parts). */
  readonly standardDeviation: number;
  readonly scores: readonly number[];
};

/**
 * exp of the mean Kullback-Leibler divergence between p(class | image) and p(class), per part; softmax in float64.
 *
 * @param logits - [N, K] row-major, the network's logits **without** their bias (a quirk of the original)
 * @throws RangeError if there are fewer samples than splits, or a value is not finite
 */
export function inceptionScore(
  logits: ArrayLike<number>,
  classes: number,
  { splits = 10, order }: InceptionScoreOptions = {},
): InceptionScore {
  const count = logits.length / classes;
  if (!Number.isInteger(count)) {
    throw new RangeError(`inceptionScore: logits must hold a multiple of ${classes} numbers, got ${logits.length}`);
  }
  if (!Number.isInteger(splits) || splits < 1 || count < splits) {
    throw new RangeError(`inceptionScore: splits must be an integer from 1 to the ${count} samples, got ${splits}`);
  }
  if (order && order.length !== count) {
    throw new RangeError(`inceptionScore: order must name all ${count} samples once, got ${order.length} entries`);
  }
  const scores: number[] = [];
  for (let part = 0; part < splits; part++) {
    const from = Math.floor((part * count) / splits);
    const to = Math.floor(((part + 1) * count) / splits);
    const rows = Array.from({ length: to - from }, (_, i) => order?.[from + i] ?? from + i);
    scores.push(partScore(logits, classes, rows));
  }
  const mean = scores.reduce((a, b) => a + b, 0) / splits;
  const variance = scores.reduce((a, b) => a + (b - mean) ** 2, 0) / splits;
  return { mean, standardDeviation: Math.sqrt(variance), scores };
}

/** KL(p(y|x) ‖ p(y)) averaged over the rows equals Σ p log p over rows and classes, minus Σ p̄ log p̄. */
function partScore(logits: ArrayLike<number>, classes: number, rows: readonly number[]): number {
  const marginal = new Float64Array(classes);
  const probabilities = new Float64Array(classes);
  let negativeEntropy = 0;
  for (const row of rows) {
    const offset = row * classes;
    let largest = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < classes; k++) largest = Math.max(largest, logits[offset + k]);
    let total = 0;
    for (let k = 0; k < classes; k++) {
      probabilities[k] = Math.exp(logits[offset + k] - largest);
      total += probabilities[k];
    }
    if (!Number.isFinite(total)) throw new RangeError(`inceptionScore: logits must be finite; row ${row} is not`);
    const logTotal = Math.log(total);
    for (let k = 0; k < classes; k++) {
      const p = probabilities[k] / total;
      marginal[k] += p;
      if (p > 0) negativeEntropy += p * (logits[offset + k] - largest - logTotal);
    }
  }
  let marginalTerm = 0;
  for (const sum of marginal) {
    const p = sum / rows.length;
    if (p > 0) marginalTerm += p * Math.log(p);
  }
  return Math.exp(negativeEntropy / rows.length - marginalTerm);
}
