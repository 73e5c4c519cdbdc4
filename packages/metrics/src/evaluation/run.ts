import { existsSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { openSampleFolder } from '../samples/folder.js';
import { openSampleNpz } from '../samples/npz.js';
import type { SampleSource } from '../samples/sample-source.js';
import { type Collection, collect, createCollection, KEPT_IMAGES } from './collect.js';
import { type CollectionOrigin, loadCollection, saveCollection } from './collection-file.js';
import { type EvaluateOptions, type EvaluationReport, evaluate } from './evaluate.js';
import type { FeatureExtractor } from './feature-extractor.js';
import { loadReference, type Reference, referenceContent, referenceFromCollection } from './reference.js';

export type CollectRunOptions = {
  /** Images per forward pass (default 32). */
  readonly batchSize?: number;
  /** Images whose features are kept for precision, recall, KID and the bootstrap (default 10,000). */
  readonly keep?: number;
  /** Folder for unfinished work: a run that was interrupted goes on from there. */
  readonly workFolder?: string;
  /** How many images at most an interruption may cost (default 2,000); one by `signal` costs none. */
  readonly saveEvery?: number;
  /** Ends the run after the batch in progress, saved in `workFolder`, with the signal's reason as the error. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (what: 'samples' | 'reference', done: number, total: number) => void;
};

export type RunOptions = EvaluateOptions &
  CollectRunOptions & {
    /** Accept lossy samples. References may always be lossy. */
    readonly allowLossy?: boolean;
  };

/** Opens samples: a folder of images, or an `.npz` file with `arr_0`. */
export async function openSamples(path: string, allowLossy = false): Promise<SampleSource> {
  if (!existsSync(path)) throw new Error(`openSamples: ${path} does not exist`);
  if (extname(path) === '.npz') return openSampleNpz(path);
  if (!(await stat(path)).isDirectory()) {
    throw new Error(`openSamples: ${path} must be a folder of images or an .npz file of samples`);
  }
  return openSampleFolder(path, { allowLossy });
}

/**
 * Evaluates samples against a reference: the whole path from files to numbers.
 *
 * @param samples - folder of images or ADM `.npz`
 * @param reference - folder of images, `.npz` of samples, of ADM statistics or of both, or a statistics file of this package
 * @param extractor - the network, or what loads it: called when samples and reference have been found usable
 * @throws Error in one sentence for anything that is missing, damaged or does not fit
 */
export async function evaluatePaths(
  samples: string,
  reference: string,
  extractor: FeatureExtractor | (() => Promise<FeatureExtractor>),
  options: RunOptions,
): Promise<EvaluationReport> {
  if (options.resamples === 1) throw new RangeError('evaluatePaths: resamples must be 0 or at least 2, got 1');
  const source = await openSamples(samples, options.allowLossy);
  const content = await referenceContent(reference);
  const images = content.images ? await openSamples(reference, true) : undefined;
  for (const { name, count } of images && !content.statistics ? [source, images] : [source]) {
    if (count < 2) throw new Error(`evaluatePaths: ${name} holds one image; a covariance needs at least 2`);
  }
  const network = typeof extractor === 'function' ? await extractor() : extractor;
  const statistics = content.statistics ? await loadReference(reference, network) : undefined;
  const collected = images && (await collectResumably(images, 'reference', network, options));
  const truth = joinReference(statistics, collected && referenceFromCollection(collected, reference));
  const collection = await collectResumably(source, 'samples', network, options);
  return evaluate(source, collection, truth, network, options);
}

/** ADM's reference batches hold statistics of all images, and some of the images for precision and recall. */
function joinReference(statistics: Reference | undefined, images: Reference | undefined): Reference {
  if (!statistics) return images!;
  return images ? { ...statistics, features: images.features } : statistics;
}

/**
 * Gathers the statistics of a folder or `.npz` and saves them as a reference for later runs.
 *
 * @param target - file to write, .safetensors
 * @throws Error if the file would not be found to be statistics, or the images cannot be read
 */
export async function saveReferenceStatistics(
  images: string,
  target: string,
  extractor: FeatureExtractor | (() => Promise<FeatureExtractor>),
  options: CollectRunOptions,
): Promise<Reference> {
  if (extname(target) !== '.safetensors') {
    throw new Error(`saveReferenceStatistics: the name of the statistics must end with .safetensors, got ${target}`);
  }
  const source = await openSamples(images, true);
  const network = typeof extractor === 'function' ? await extractor() : extractor;
  const collection = await collectResumably(source, 'reference', network, options);
  await saveCollection(target, collection, originOf(source, network, options.keep));
  return referenceFromCollection(collection, source.name);
}

async function collectResumably(
  source: SampleSource,
  what: 'samples' | 'reference',
  extractor: FeatureExtractor,
  { workFolder, saveEvery, batchSize, keep, signal, onProgress }: CollectRunOptions,
): Promise<Collection> {
  const progress = (done: number, total: number) => onProgress?.(what, done, total);
  const options = { batchSize, signal, onProgress: progress };
  const empty = () => createCollection(extractor, source.count, keep);
  if (workFolder === undefined) return collect(source, extractor, empty(), options);
  await mkdir(workFolder, { recursive: true });
  const file = join(workFolder, `${what}.safetensors`);
  const origin = originOf(source, extractor, keep);
  const collection = (await unfinished(file, extractor, origin)) ?? empty();
  const save = (state: Collection) => saveCollection(file, state, origin);
  return collect(source, extractor, collection, { ...options, save, saveEvery });
}

/** What an interrupted run left, if it was about the same images and the same network. */
async function unfinished(
  file: string,
  extractor: FeatureExtractor,
  origin: CollectionOrigin,
): Promise<Collection | undefined> {
  if (!existsSync(file)) return undefined;
  try {
    const saved = await loadCollection(file, extractor);
    // The same images by another path, such as `samples/` for `samples`, are the same images.
    if (isDeepStrictEqual({ ...saved.origin, source: origin.source }, origin)) return saved.collection;
  } catch {
    // damaged or another network's: it is only a cache, begin anew
  }
  await rm(file);
  return undefined;
}

function originOf(source: SampleSource, extractor: FeatureExtractor, keep = KEPT_IMAGES): CollectionOrigin {
  return {
    source: source.name,
    fingerprint: source.fingerprint,
    total: source.count,
    kept: Math.min(keep, source.count),
    extractor: extractor.name,
    weightsHash: extractor.weightsHash,
  };
}
