/**
 * Inception Score (Salimans et al. 2016), as torch-fidelity computes it, gathered in a stream: memory does not grow with
 * the number of samples. N = samples, K = classes.
 */

export type InceptionScore = {
  readonly mean: number;
  /** Standard deviation over the parts (divisor = number of parts). */
  readonly standardDeviation: number;
  readonly scores: readonly number[];
};

/** Options of `inceptionScore`. */
export type InceptionScoreOptions = {
  /** Number of parts, each scored alone; 10 is the field's convention. */
  readonly splits?: number;
  /** The order of the samples before they are cut into parts (default: as they come). See `numpyPermutation`. */
  readonly order?: ArrayLike<number>;
};

/** Sums of each part, from which its score follows without the samples. */
export type InceptionScoreAccumulator = {
  readonly classes: number;
  /** The part to which each sample belongs. */
  readonly partOf: Uint32Array;
  /** Per part: samples seen so far. */
  readonly counts: Float64Array;
  /** Per part: Σ p log p over samples and classes. */
  readonly negativeEntropy: Float64Array;
  /** Per part and class: Σ p over samples. */
  readonly marginals: Float64Array;
  /** Samples seen so far. */
  seen: number;
};

/**
 * @param count - how many samples will come
 * @throws RangeError if splits do not fit the count, or the order has another length
 */
export function createInceptionScore(
  classes: number,
  count: number,
  { splits = 10, order }: InceptionScoreOptions = {},
): InceptionScoreAccumulator {
  if (!Number.isInteger(splits) || splits < 1 || count < splits) {
    throw new RangeError(`inceptionScore: splits must be an integer from 1 to the ${count} samples, got ${splits}`);
  }
  if (order && order.length !== count) {
    throw new RangeError(`inceptionScore: order must name all ${count} samples once, got ${order.length} entries`);
  }
  const partOf = new Uint32Array(count);
  for (let part = 0; part < splits; part++) {
    const to = Math.floor(((part + 1) * count) / splits);
    for (let i = Math.floor((part * count) / splits); i < to; i++) partOf[order?.[i] ?? i] = part;
  }
  return {
    classes,
    partOf,
    counts: new Float64Array(splits),
    negativeEntropy: new Float64Array(splits),
    marginals: new Float64Array(splits * classes),
    seen: 0,
  };
}

/**
 * Adds the next samples; softmax in float64.
 * @param logits - [N, K] row-major, the network's logits **without** their bias (a quirk of the original)
 * @throws RangeError if there are more samples than announced, or a value is not finite
 */
export function accumulateInceptionScore(accumulator: InceptionScoreAccumulator, logits: ArrayLike<number>): void {
  const { classes, partOf, counts, negativeEntropy, marginals } = accumulator;
  const rows = logits.length / classes;
  if (!Number.isInteger(rows) || accumulator.seen + rows > partOf.length) {
    throw new RangeError(
      `inceptionScore: ${partOf.length} rows of ${classes} logits were announced, got ${accumulator.seen} + ${rows}`,
    );
  }
  for (let row = 0; row < rows; row++) {
    const part = partOf[accumulator.seen];
    negativeEntropy[part] += addProbabilities(logits, row * classes, marginals, part * classes, classes);
    counts[part]++;
    accumulator.seen++;
  }
}

/** Adds softmax(logits) to the marginal and returns Σ p log p. */
function addProbabilities(
  logits: ArrayLike<number>,
  from: number,
  marginal: Float64Array,
  to: number,
  classes: number,
): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < classes; k++) largest = Math.max(largest, logits[from + k]);
  let total = 0;
  for (let k = 0; k < classes; k++) total += Math.exp(logits[from + k] - largest);
  if (!Number.isFinite(total)) {
    throw new RangeError(`inceptionScore: logits must be finite; row ${from / classes} of the batch is not`);
  }
  const logTotal = Math.log(total);
  let sum = 0;
  for (let k = 0; k < classes; k++) {
    const logProbability = logits[from + k] - largest - logTotal;
    const probability = Math.exp(logProbability);
    marginal[to + k] += probability;
    sum += probability * logProbability;
  }
  return sum;
}

/**
 * exp of the mean Kullback-Leibler divergence between p(class | image) and p(class), per part.
 * @throws RangeError if fewer samples came than were announced
 */
export function finishInceptionScore(accumulator: InceptionScoreAccumulator): InceptionScore {
  const { classes, partOf, counts, negativeEntropy, marginals, seen } = accumulator;
  if (seen < partOf.length) {
    throw new RangeError(`inceptionScore: ${partOf.length} samples were announced, got ${seen}`);
  }
  const scores = Array.from(counts, (count, part) => {
    let marginalTerm = 0;
    for (const sum of marginals.subarray(part * classes, (part + 1) * classes)) {
      const probability = sum / count;
      if (probability > 0) marginalTerm += probability * Math.log(probability);
    }
    return Math.exp(negativeEntropy[part] / count - marginalTerm);
  });
  const mean = scores.reduce((a, b) => a + b, 0) / scores.length;
  const variance = scores.reduce((a, b) => a + (b - mean) ** 2, 0) / scores.length;
  return { mean, standardDeviation: Math.sqrt(variance), scores };
}

/** Computes the score of logits [N, K] that are in memory. */
export function inceptionScore(
  logits: ArrayLike<number>,
  classes: number,
  options: InceptionScoreOptions = {},
): InceptionScore {
  const accumulator = createInceptionScore(classes, Math.floor(logits.length / classes), options);
  accumulateInceptionScore(accumulator, logits);
  return finishInceptionScore(accumulator);
}
