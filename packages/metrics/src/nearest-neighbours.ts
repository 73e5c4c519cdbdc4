/**
 * Sample-based quality and diversity in feature space: improved precision and recall (Kynkäänniemi et al. 2019) and
 * density and coverage (Naeem et al. 2020). Euclidean distances in float64. N, M = samples, D = dimensions.
 */

export type Features = {
  /** [N, D], row-major. */
  readonly values: ArrayLike<number>;
  readonly dimensions: number;
};

export type ManifoldScores = {
  /** Share of generated samples inside the union of the real samples' k-nearest-neighbour balls. */
  readonly precision: number;
  /** Share of real samples inside the union of the generated samples' balls. */
  readonly recall: number;
  /** Mean number of real balls that hold a generated sample, divided by k; can exceed 1. */
  readonly density: number;
  /** Share of real balls that hold at least one generated sample. */
  readonly coverage: number;
};

/**
 * @param k - the ball of a sample reaches to its k-th nearest other sample of the same set (default 3)
 * @throws RangeError if dimensions disagree or a set has no more than k samples
 */
export function manifoldScores(generated: Features, real: Features, k = 3): ManifoldScores {
  if (generated.dimensions !== real.dimensions) {
    throw new RangeError(
      `manifoldScores: both sets must have the same dimensions, got ${generated.dimensions} and ${real.dimensions}`,
    );
  }
  const fake = prepare(generated, k, 'generated');
  const truth = prepare(real, k, 'real');
  const fakeRadius = ballRadii(fake, k);
  const truthRadius = ballRadii(truth, k);
  const insideReal = new Uint8Array(fake.count);
  const insideFake = new Uint8Array(truth.count);
  const covered = new Uint8Array(truth.count);
  let memberships = 0;
  for (let i = 0; i < fake.count; i++) {
    for (let j = 0; j < truth.count; j++) {
      const distance = squaredDistance(fake, i, truth, j);
      if (distance <= truthRadius[j]) {
        insideReal[i] = 1;
        covered[j] = 1;
        memberships++;
      }
      if (distance <= fakeRadius[i]) insideFake[j] = 1;
    }
  }
  return {
    precision: share(insideReal),
    recall: share(insideFake),
    density: memberships / (k * fake.count),
    coverage: share(covered),
  };
}

type Points = { readonly values: Float64Array; readonly dimensions: number; readonly count: number };

function prepare({ values, dimensions }: Features, k: number, name: string): Points {
  const count = values.length / dimensions;
  if (!Number.isInteger(count)) {
    throw new RangeError(`manifoldScores: ${name} must hold a multiple of ${dimensions} numbers, got ${values.length}`);
  }
  if (!Number.isInteger(k) || k < 1 || count <= k) {
    throw new RangeError(`manifoldScores: ${name} must have more than k = ${k} samples, got ${count}`);
  }
  return { values: Float64Array.from(values), dimensions, count };
}

/** Squared distance from each point to its k-th nearest other point. */
function ballRadii(points: Points, k: number): Float64Array {
  const nearest = new Float64Array(points.count * k).fill(Number.POSITIVE_INFINITY); // ascending per point
  for (let i = 0; i < points.count; i++) {
    for (let j = 0; j < i; j++) {
      const distance = squaredDistance(points, i, points, j);
      insert(nearest, i * k, k, distance);
      insert(nearest, j * k, k, distance);
    }
  }
  return Float64Array.from({ length: points.count }, (_, i) => nearest[i * k + k - 1]);
}

function insert(sorted: Float64Array, offset: number, length: number, value: number): void {
  let at = offset + length - 1;
  if (value >= sorted[at]) return;
  for (; at > offset && sorted[at - 1] > value; at--) sorted[at] = sorted[at - 1];
  sorted[at] = value;
}

function squaredDistance(a: Points, i: number, b: Points, j: number): number {
  const d = a.dimensions;
  const p = i * d;
  const q = j * d;
  let sum = 0;
  for (let k = 0; k < d; k++) {
    const difference = a.values[p + k] - b.values[q + k];
    sum += difference * difference;
  }
  return sum;
}

function share(flags: Uint8Array): number {
  return flags.reduce((sum, flag) => sum + flag, 0) / flags.length;
}
