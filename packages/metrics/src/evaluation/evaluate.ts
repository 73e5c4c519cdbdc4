import { frechetDistance } from '../frechet-distance.js';
import { finishStatistics } from '../gaussian-statistics.js';
import { finishInceptionScore, type InceptionScore } from '../inception-score.js';
import { type KernelDistance, kernelDistance } from '../kernel-distance.js';
import { type ManifoldScores, manifoldScores } from '../nearest-neighbours.js';
import type { SampleSource } from '../samples/sample-source.js';
import { bootstrapInterval, type ConfidenceInterval } from './bootstrap.js';
import type { Collection } from './collect.js';
import type { FeatureExtractor } from './feature-extractor.js';
import type { Reference } from './reference.js';

/** Below this many samples the covariance of 2048 features is singular and the distance strongly biased. */
const RECOMMENDED_SAMPLES = 2_048;

export type EvaluateOptions = {
  /** Uniform numbers in [0, 1), for the subsets of KID and the bootstrap. */
  readonly random: () => number;
  /** Resamples of the bootstrap interval; 0 leaves it out. Each costs one Fréchet distance. */
  readonly resamples?: number;
  /** Neighbours of precision and recall (default 3). */
  readonly neighbours?: number;
};

/** The result of an evaluation, with all that one needs to compare it with another. Written as JSON. */
export type EvaluationReport = {
  /** "FID", or the name of the distance on another network's features. */
  readonly distanceName: string;
  readonly frechetDistance: number;
  readonly confidence?: ConfidenceInterval;
  readonly spatialFrechetDistance?: number;
  readonly inceptionScore?: Omit<InceptionScore, 'scores'>;
  readonly kernelDistance?: KernelDistance;
  readonly manifold?: ManifoldScores & { readonly neighbours: number; readonly samples: number };
  readonly samples: { readonly name: string; readonly hash: string; readonly count: number };
  readonly reference: { readonly name: string; readonly hash: string; readonly count?: number };
  readonly extractor: string;
  readonly weightsHash: string;
  readonly evaluator: string;
  readonly date: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
};

/**
 * Compares collected samples with a reference.
 *
 * @throws RangeError if there are fewer than two samples
 */
export function evaluate(
  source: SampleSource,
  samples: Collection,
  reference: Reference,
  extractor: FeatureExtractor,
  version: string,
  { random, resamples = 10, neighbours = 3 }: EvaluateOptions,
): EvaluationReport {
  const distance = frechetDistance(finishStatistics(samples.pool), reference.pool);
  const { dimensions } = extractor;
  const kept = { values: samples.features.subarray(0, samples.count * dimensions), dimensions };
  const truth = reference.features && { values: reference.features, dimensions };
  const few = Math.min(kept.values.length, truth?.values.length ?? 0) / dimensions;
  return {
    distanceName: extractor.distanceName,
    frechetDistance: distance,
    confidence: resamples > 0 ? bootstrapInterval(kept.values, reference.pool, distance, random, resamples) : undefined,
    spatialFrechetDistance:
      samples.spatial && reference.spatial && frechetDistance(finishStatistics(samples.spatial), reference.spatial),
    inceptionScore: samples.score && withoutScores(finishInceptionScore(samples.score)),
    kernelDistance: truth && few >= 2 ? kernelDistance(kept, truth, { random }) : undefined,
    manifold:
      truth && few > neighbours
        ? { ...manifoldScores(kept, truth, neighbours), neighbours, samples: kept.values.length / dimensions }
        : undefined,
    samples: { name: source.name, hash: source.fingerprint, count: samples.count },
    reference: { name: reference.name, hash: reference.hash, count: reference.count },
    extractor: extractor.name,
    weightsHash: extractor.weightsHash,
    evaluator: `@tb/metrics ${version}`,
    date: new Date().toISOString(),
    settings: source.settings,
    warnings: warningsOf(samples.count, reference, dimensions),
  };
}

function withoutScores({ mean, standardDeviation }: InceptionScore): Omit<InceptionScore, 'scores'> {
  return { mean, standardDeviation };
}

function warningsOf(count: number, reference: Reference, dimensions: number): string[] {
  const warnings: string[] = [];
  const wanted = Math.min(RECOMMENDED_SAMPLES, dimensions);
  if (count < wanted) {
    warnings.push(
      `only ${count} samples: below ${wanted} the covariance of ${dimensions} features is singular and the distance is ` +
        'biased upwards; compare it only with distances at the same count (the convention is 50,000)',
    );
  }
  if (reference.count !== undefined && reference.count < wanted) {
    warnings.push(`the reference has only ${reference.count} images: its covariance is singular`);
  }
  if (!reference.features) {
    warnings.push('the reference holds statistics only: precision, recall and KID need its images');
  }
  return warnings;
}
