import { frechetDistance } from '../frechet-distance.js';
import { finishStatistics } from '../gaussian-statistics.js';
import { finishInceptionScore, type InceptionScore } from '../inception-score.js';
import { type KernelDistance, kernelDistance } from '../kernel-distance.js';
import { type ManifoldScores, manifoldScores } from '../nearest-neighbours.js';
import type { SampleSource } from '../samples/sample-source.js';
import { version } from '../version.js';
import { bootstrapInterval, type ConfidenceInterval } from './bootstrap.js';
import type { Collection } from './collect.js';
import type { FeatureExtractor } from './feature-extractor.js';
import type { Reference } from './reference.js';

/** Below this many samples the covariance of 2048 features is singular and the distance strongly biased. */
const RECOMMENDED_SAMPLES = 2_048;

/** Options of `evaluate`. */
export type EvaluateOptions = {
  /** Uniform numbers in [0, 1), for the subsets of KID and the bootstrap. */
  readonly random: () => number;
  /** Resamples of the bootstrap interval (default 10); 0 leaves it out. Each costs one Fréchet distance. */
  readonly resamples?: number;
  /** Neighbours of precision and recall (default 3). */
  readonly neighbours?: number;
  /** Called before each part of the computation, which with many samples takes minutes, with what is computed. */
  readonly onStage?: (what: string) => void;
};

/** The result of an evaluation, with everything that a comparison with another result needs. Written as JSON. */
export type EvaluationReport = {
  /** "FID", or the name of the distance on another network's features. */
  readonly distanceName: string;
  readonly frechetDistance: number;
  readonly confidence?: ConfidenceInterval;
  /** sFID, where the network and the reference have spatial features. */
  readonly spatialFrechetDistance?: number;
  readonly inceptionScore?: Omit<InceptionScore, 'scores'>;
  readonly kernelDistance?: KernelDistance;
  /** Precision, recall, density and coverage, and the numbers of samples and reference images that they were computed from. */
  readonly manifold?: ManifoldScores & {
    readonly neighbours: number;
    readonly samples: number;
    readonly references: number;
  };
  /** `hash` is over the pixels, whatever files they came from. */
  readonly samples: { readonly name: string; readonly hash: string; readonly count: number };
  /** `hash` is that of the statistics file, or over the pixels of the images. */
  readonly reference: { readonly name: string; readonly hash: string; readonly count?: number };
  /** The network, and the SHA-256 of its weights. */
  readonly extractor: string;
  readonly weightsHash: string;
  /** This package and its version. */
  readonly evaluator: string;
  /** ISO 8601, in UTC. */
  readonly date: string;
  /** How the samples were made, where they state it. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** One sentence for each reason not to trust the numbers. */
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
  options: EvaluateOptions,
): EvaluationReport {
  return {
    distanceName: extractor.distanceName,
    ...distances(samples, reference, options),
    inceptionScore: samples.score && withoutScores(finishInceptionScore(samples.score)),
    ...comparisons(samples, reference, options),
    samples: { name: source.name, hash: samples.pixelHash, count: samples.count },
    reference: { name: reference.name, hash: reference.hash, count: reference.count },
    extractor: extractor.name,
    weightsHash: extractor.weightsHash,
    evaluator: `@tb/metrics ${version}`,
    date: new Date().toISOString(),
    settings: source.settings,
    warnings: warningsOf(samples, reference, options),
  };
}

/** Computes the measures that compare Gaussians. */
function distances(
  samples: Collection,
  reference: Reference,
  { random, resamples = 10, onStage }: EvaluateOptions,
): Pick<EvaluationReport, 'frechetDistance' | 'confidence' | 'spatialFrechetDistance'> {
  onStage?.('Fréchet distance');
  const distance = frechetDistance(finishStatistics(samples.pool), reference.pool);
  if (resamples > 0) onStage?.(`Fréchet distances of ${resamples} bootstrap draws`);
  const confidence =
    resamples > 0
      ? bootstrapInterval(keptOf(samples).values, reference.pool, distance, random, { resamples, count: samples.count })
      : undefined;
  if (!samples.spatial || !reference.spatial) return { frechetDistance: distance, confidence };
  onStage?.('Fréchet distance of spatial features');
  const spatialFrechetDistance = frechetDistance(finishStatistics(samples.spatial), reference.spatial);
  return { frechetDistance: distance, confidence, spatialFrechetDistance };
}

/** Computes the measures that compare samples one by one, as far as both sides have samples. */
function comparisons(
  samples: Collection,
  reference: Reference,
  { random, neighbours = 3, onStage }: EvaluateOptions,
): Pick<EvaluationReport, 'kernelDistance' | 'manifold'> {
  const kept = keptOf(samples);
  const { dimensions } = kept;
  if (!reference.features) return {};
  const truth = { values: reference.features, dimensions };
  const [ours, theirs] = [kept, truth].map(({ values }) => values.length / dimensions);
  const few = Math.min(ours, theirs);
  if (few < 2) return {};
  onStage?.('kernel distance');
  const distance = kernelDistance(kept, truth, { random });
  if (few <= neighbours) return { kernelDistance: distance };
  onStage?.('precision and recall');
  const scores = manifoldScores(kept, truth, neighbours);
  return { kernelDistance: distance, manifold: { ...scores, neighbours, samples: ours, references: theirs } };
}

/** Returns the features that were kept of the samples. */
function keptOf({ features, count, pool: { dimensions } }: Collection) {
  return { values: features.subarray(0, count * dimensions), dimensions };
}

function withoutScores({ mean, standardDeviation }: InceptionScore): Omit<InceptionScore, 'scores'> {
  return { mean, standardDeviation };
}

function warningsOf(samples: Collection, reference: Reference, { neighbours = 3 }: EvaluateOptions): string[] {
  const { dimensions } = samples.pool;
  const warnings: string[] = [];
  const recommended = Math.min(RECOMMENDED_SAMPLES, dimensions);
  if (samples.count < recommended) {
    warnings.push(
      `only ${samples.count} samples: below ${recommended} the covariance of ${dimensions} features is singular and the distance is ` +
        'biased upwards; compare it only with distances at the same count (the convention is 50,000)',
    );
  }
  if (reference.count !== undefined && reference.count < recommended) {
    warnings.push(`the reference has only ${reference.count} images: its covariance is singular`);
  }
  if (!reference.features) {
    warnings.push('the reference holds statistics only: precision, recall and KID need its images');
  } else if (Math.min(samples.features.length, reference.features.length) / dimensions <= neighbours) {
    warnings.push(`precision and recall need more than ${neighbours} images on either side`);
  }
  return warnings;
}
