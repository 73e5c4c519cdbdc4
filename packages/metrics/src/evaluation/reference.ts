import { extname } from 'node:path';
import { fileSha256, type HostTensor, openNpz } from '@tb/io';
import type { Gaussian } from '../frechet-distance.js';
import { finishStatistics } from '../gaussian-statistics.js';
import type { SampleSource } from '../samples/sample-source.js';
import type { Collection } from './collect.js';
import { loadCollection } from './collection-file.js';
import type { FeatureExtractor } from './feature-extractor.js';

/** What samples are compared with. */
export type Reference = {
  readonly name: string;
  /** SHA-256 of the file, or the fingerprint of the images. */
  readonly hash: string;
  readonly count?: number;
  readonly pool: Gaussian;
  readonly spatial?: Gaussian;
  /** Kept pool features [M, D]; statistics files of ADM have none, so precision, recall and KID need images. */
  readonly features?: Float32Array;
};

/** Statistics gathered from images as a reference. */
export function referenceFromCollection(collection: Collection, name: string, hash: string): Reference {
  return {
    name,
    hash,
    count: collection.count,
    pool: finishStatistics(collection.pool),
    spatial: collection.spatial && finishStatistics(collection.spatial),
    features: collection.features,
  };
}

/** How a path is to be read, by what it holds. */
export async function referenceKind(path: string): Promise<'statistics' | 'images'> {
  if (extname(path) === '.safetensors') return 'statistics';
  if (extname(path) !== '.npz') return 'images';
  const file = await openNpz(path);
  await file.close();
  return file.names.includes('mu') ? 'statistics' : 'images';
}

/**
 * Loads a statistics file: this package's own (.safetensors, with provenance), or ADM's (.npz with `mu`, `sigma` and
 * perhaps `mu_s`, `sigma_s`), which says nothing of its origin.
 *
 * @throws Error if the file is incomplete or belongs to other features
 */
export async function loadReference(path: string, extractor: FeatureExtractor): Promise<Reference> {
  const hash = await fileSha256(path);
  if (extname(path) === '.safetensors') {
    const { collection, origin } = await loadCollection(path, extractor);
    if (collection.count < origin.total) {
      throw new Error(`loadReference: ${path} is unfinished: ${collection.count} of ${origin.total} images`);
    }
    return referenceFromCollection(collection, path, hash);
  }
  return loadAdmStatistics(path, hash, extractor);
}

async function loadAdmStatistics(path: string, hash: string, extractor: FeatureExtractor): Promise<Reference> {
  const file = await openNpz(path);
  try {
    const gaussian = async (mean: string, covariance: string, dimensions: number): Promise<Gaussian> => {
      const [mu, sigma] = [await file.read(mean), await file.read(covariance)];
      if (mu.shape.join() !== `${dimensions}` || sigma.shape.join() !== `${dimensions},${dimensions}`) {
        throw new Error(
          `loadReference: ${path} must hold ${mean} [${dimensions}] and ${covariance} [${dimensions}, ${dimensions}], got ` +
            `[${mu.shape.join(', ')}] and [${sigma.shape.join(', ')}]`,
        );
      }
      return { mean: numbers(mu), covariance: numbers(sigma) };
    };
    const { dimensions, spatialDimensions } = extractor;
    const hasSpatial = spatialDimensions !== undefined && file.names.includes('mu_s') && file.names.includes('sigma_s');
    return {
      name: path,
      hash,
      pool: await gaussian('mu', 'sigma', dimensions),
      spatial: hasSpatial ? await gaussian('mu_s', 'sigma_s', spatialDimensions) : undefined,
    };
  } finally {
    await file.close();
  }
}

function numbers({ data }: HostTensor): Float64Array {
  return Float64Array.from(data as ArrayLike<number>);
}

/** The identity of a source of images in reports. */
export function sourceIdentity(source: SampleSource): { name: string; hash: string } {
  return { name: source.name, hash: source.fingerprint };
}
