import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { fileSha256, type HostTensor, InputError, openNpz } from '@tb/io';
import type { Gaussian } from '../frechet-distance.js';
import { finishStatistics } from '../gaussian-statistics.js';
import type { Collection } from './collect.js';
import { loadCollection } from './collection-file.js';
import type { FeatureExtractor } from './feature-extractor.js';

/** What samples are compared with. */
export type Reference = {
  readonly name: string;
  /** SHA-256 of the statistics file, or over the pixels of the images. */
  readonly hash: string;
  /** Images behind the statistics, where that is known. */
  readonly count?: number;
  readonly pool: Gaussian;
  readonly spatial?: Gaussian;
  /** Kept pool features [M, D] for precision, recall and KID; statistics files of ADM alone have none. */
  readonly features?: Float32Array;
};

/** Makes a reference of statistics that were gathered from images. */
export function referenceFromCollection(
  collection: Collection,
  name: string,
  hash: string = collection.pixelHash,
): Reference {
  return {
    name,
    hash,
    count: collection.count,
    pool: finishStatistics(collection.pool),
    spatial: collection.spatial && finishStatistics(collection.spatial),
    features: collection.features,
  };
}

/** What a path holds as a reference: statistics, images, or both (ADM's reference batches). */
export type ReferenceContent = { readonly statistics: boolean; readonly images: boolean };

/** Finds out what a path holds as a reference. @throws Error if it holds nothing of use; FileFormatError if it is damaged */
export async function referenceContent(path: string): Promise<ReferenceContent> {
  if (!existsSync(path)) throw new InputError('evaluatePaths', `the reference ${path} does not exist`);
  if (extname(path) === '.safetensors') return { statistics: true, images: false };
  if (extname(path) !== '.npz') return { statistics: false, images: true };
  const file = await openNpz(path);
  await file.close();
  const [statistics, images] = [
    file.names.includes('mu') && file.names.includes('sigma'),
    file.names.includes('arr_0'),
  ];
  if (statistics || images) return { statistics, images };
  throw new InputError(
    'evaluatePaths',
    `the reference ${path} must hold statistics (mu, sigma) or images (arr_0), got ${file.names.join(', ') || 'nothing'}`,
  );
}

/**
 * Loads a statistics file: this package's own (.safetensors, with provenance), or ADM's (.npz with `mu`, `sigma` and
 * perhaps `mu_s`, `sigma_s`), which does not state its origin.
 *
 * @throws Error if the file is incomplete or belongs to other features
 */
export async function loadReference(path: string, extractor: FeatureExtractor): Promise<Reference> {
  const hash = await fileSha256(path);
  if (extname(path) === '.safetensors') {
    const { collection, origin } = await loadCollection(path, extractor);
    if (collection.count < origin.total) {
      throw new InputError('loadReference', `${path} is unfinished: ${collection.count} of ${origin.total} images`);
    }
    return referenceFromCollection(collection, path, hash);
  }
  return loadAdmStatistics(path, hash, extractor);
}

async function loadAdmStatistics(path: string, hash: string, extractor: FeatureExtractor): Promise<Reference> {
  const file = await openNpz(path);
  try {
    const read = async (mean: string, covariance: string, dimensions: number): Promise<Gaussian> => {
      const [mu, sigma] = [await file.read(mean), await file.read(covariance)];
      if (mu.shape.join() !== `${dimensions}` || sigma.shape.join() !== `${dimensions},${dimensions}`) {
        throw new InputError(
          'loadReference',
          `${path} must hold ${mean} [${dimensions}] and ${covariance} [${dimensions}, ${dimensions}], got ` +
            `[${mu.shape.join(', ')}] and [${sigma.shape.join(', ')}]`,
        );
      }
      const name = `${covariance} of ${path}`;
      const gaussian = { mean: float64(mu, `${mean} of ${path}`), covariance: float64(sigma, name) };
      assertCovariance(gaussian, name);
      return gaussian;
    };
    const { dimensions, spatialDimensions } = extractor;
    const hasSpatial = spatialDimensions !== undefined && file.names.includes('mu_s') && file.names.includes('sigma_s');
    return {
      name: path,
      hash,
      pool: await read('mu', 'sigma', dimensions),
      spatial: hasSpatial ? await read('mu_s', 'sigma_s', spatialDimensions) : undefined,
    };
  } finally {
    await file.close();
  }
}

function float64({ dtype, data }: HostTensor, name: string): Float64Array {
  if (dtype === 'F64') return data as Float64Array;
  if (dtype === 'F32') return new Float64Array(data as Float32Array);
  throw new InputError('loadReference', `${name} must be float32 or float64, got ${dtype}`);
}

/** Refuses negative variances and numbers that are not finite: at the start, not after all samples have been seen. */
function assertCovariance({ mean, covariance }: Gaussian, name: string): void {
  const negative = mean.findIndex((_, i) => covariance[i * mean.length + i] < 0);
  const found =
    negative >= 0
      ? `a negative variance of dimension ${negative}`
      : mean.every(Number.isFinite) && covariance.every(Number.isFinite)
        ? undefined
        : 'numbers that are not finite';
  if (found) throw new InputError('loadReference', `${name} must be a covariance, got ${found}`);
}
