import { forEachProductTile, type ProductTile, typedRows } from './linear-algebra/row-products.js';

/**
 * Sample-based quality and diversity in feature space: improved precision and recall (Kynkäänniemi et al. 2019) and
 * density and coverage (Naeem et al. 2020). N, M = samples, D = dimensions.
 *
 * Squared distances are |x|² + |y|² − 2 x·y in float64, of which the products are the fast part. Where rounding could
 * change a decision, Σ (x − y)² decides: the scores are those of that sum alone.
 */

export type Features = {
  /** [N, D], row-major. */
  readonly values: ArrayLike<number>;
  readonly dimensions: number;
};

/** Precision, recall, density and coverage of samples with respect to real images. */
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
  forEachProductTile(fake.dimensions, fake.values, truth.values, (tile) => {
    forEachDistance(tile, fake, truth, (i, j, distance, doubt) => {
      if (isWithin(truthRadius[j], distance, doubt, fake, i, truth, j)) {
        insideReal[i] = 1;
        covered[j] = 1;
        memberships++;
      }
      if (isWithin(fakeRadius[i], distance, doubt, fake, i, truth, j)) insideFake[j] = 1;
    });
  });
  return {
    precision: share(insideReal),
    recall: share(insideFake),
    density: memberships / (k * fake.count),
    coverage: share(covered),
  };
}

type Points = {
  readonly values: Float32Array | Float64Array;
  readonly dimensions: number;
  readonly count: number;
  /** Sums of squares [N]. */
  readonly norms: Float64Array;
};

function prepare({ values, dimensions }: Features, k: number, name: string): Points {
  const count = values.length / dimensions;
  if (!Number.isInteger(count)) {
    throw new RangeError(`manifoldScores: ${name} must hold a multiple of ${dimensions} numbers, got ${values.length}`);
  }
  if (!Number.isInteger(k) || k < 1 || count <= k) {
    throw new RangeError(`manifoldScores: ${name} must have more than k = ${k} samples, got ${count}`);
  }
  const typed = typedRows(values);
  const norms = new Float64Array(count);
  for (let i = 0; i < typed.length; i++) norms[Math.floor(i / dimensions)] += typed[i] * typed[i];
  return { values: typed, dimensions, count, norms };
}

/** Squared distances of a tile's pairs, and by how much rounding may have changed each. */
function forEachDistance(
  { first, second, rows, columns, products }: ProductTile,
  a: Points,
  b: Points,
  use: (i: number, j: number, distance: number, doubt: number) => void,
): void {
  const relative = relativeDoubt(a.dimensions);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const norms = a.norms[first + i] + b.norms[second + j];
      use(first + i, second + j, norms - 2 * products[i * columns + j], relative * norms);
    }
  }
}

/** A sum of D products is right to D·ε/2 of the sum of their sizes (Higham, Accuracy and Stability, 3.1). */
const relativeDoubt = (dimensions: number) => 4 * (dimensions + 4) * Number.EPSILON;

function isWithin(
  radius: number,
  distance: number,
  doubt: number,
  a: Points,
  i: number,
  b: Points,
  j: number,
): boolean {
  if (Math.abs(distance - radius) > doubt) return distance < radius;
  return squaredDistance(a, i, b, j) <= radius;
}

/** So many neighbours beyond the k-th are kept, to settle their order exactly. */
const SPARE = 4;

/** Squared distance from each point to its k-th nearest other point. */
function ballRadii(points: Points, k: number): Float64Array {
  const kept = Math.min(k + SPARE, points.count - 1);
  const nearest = createNeighbours(points.count, kept);
  forEachProductTile(points.dimensions, points.values, undefined, (tile) => {
    forEachDistance(tile, points, points, (i, j, distance) => {
      if (j >= i) return;
      insert(nearest, i, distance, j);
      insert(nearest, j, distance, i);
    });
  });
  return Float64Array.from({ length: points.count }, (_, i) => exactRadius(points, i, k, nearest));
}

/** For each point the nearest others found so far, in ascending order. */
type Neighbours = { readonly kept: number; readonly distances: Float64Array; readonly indices: Int32Array };

function createNeighbours(count: number, kept: number): Neighbours {
  const distances = new Float64Array(count * kept).fill(Number.POSITIVE_INFINITY);
  return { kept, distances, indices: new Int32Array(count * kept) };
}

function insert({ kept, distances, indices }: Neighbours, point: number, distance: number, index: number): void {
  const offset = point * kept;
  let at = offset + kept - 1;
  if (distance >= distances[at]) return;
  for (; at > offset && distances[at - 1] > distance; at--) {
    distances[at] = distances[at - 1];
    indices[at] = indices[at - 1];
  }
  distances[at] = distance;
  indices[at] = index;
}

/** The k-th smallest exact distance: among those kept, unless one that was dropped could be as near. */
function exactRadius(points: Points, i: number, k: number, { kept, distances, indices }: Neighbours): number {
  const candidates = Array.from(indices.subarray(i * kept, (i + 1) * kept), (j) =>
    squaredDistance(points, i, points, j),
  );
  const radius = candidates.sort((a, b) => a - b)[k - 1];
  const furthest = distances[(i + 1) * kept - 1];
  const norm = points.norms[i];
  const largestNorm = (Math.sqrt(norm) + Math.sqrt(Math.max(furthest, 0))) ** 2; // of any point as near as the furthest
  const doubt = relativeDoubt(points.dimensions) * (norm + largestNorm);
  if (kept === points.count - 1 || radius < furthest - doubt) return radius;
  const all: number[] = []; // so many equal distances: duplicates
  for (let j = 0; j < points.count; j++) if (j !== i) all.push(squaredDistance(points, i, points, j));
  return all.sort((a, b) => a - b)[k - 1];
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
