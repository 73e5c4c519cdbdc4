import { existsSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { openSampleFolder } from '../samples/folder.js';
import { openSampleNpz } from '../samples/npz.js';
import type { SampleSource } from '../samples/sample-source.js';
import { type Collection, collect, createCollection } from './collect.js';
import { type CollectionOrigin, loadCollection, saveCollection } from './collection-file.js';
import { type EvaluateOptions, type EvaluationReport, evaluate } from './evaluate.js';
import type { FeatureExtractor } from './feature-extractor.js';
import { loadReference, type Reference, referenceFromCollection, referenceKind } from './reference.js';

export type RunOptions = EvaluateOptions & {
  /** Version of this package, for the report. */
  readonly version: string;
  /** Images per forward pass. */
  readonly batchSize?: number;
  /** Images whose features are kept for precision, recall, KID and the bootstrap. */
  readonly keep?: number;
  /** Accept lossy samples. References may always be lossy. */
  readonly allowLossy?: boolean;
  /** Folder for unfinished work: a run that was interrupted goes on from there. */
  readonly workFolder?: string;
  /** How many images at most an interruption may cost (default 2,000). */
  readonly saveEvery?: number;
  readonly onProgress?: (what: 'samples' | 'reference', done: number, total: number) => void;
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
 * @param reference - folder of images, `.npz` of samples or of ADM statistics, or a statistics file of this package
 * @throws Error in one sentence for anything that is missing, damaged or does not fit
 */
export async function evaluatePaths(
  samples: string,
  reference: string,
  extractor: FeatureExtractor,
  options: RunOptions,
): Promise<EvaluationReport> {
  const source = await openSamples(samples, options.allowLossy);
  const truth = await readReference(reference, extractor, options);
  const collection = await collectResumably(source, 'samples', extractor, options);
  return evaluate(source, collection, truth, extractor, options.version, options);
}

/** Gathers the statistics of a folder or `.npz` and saves them as a reference for later runs. */
export async function saveReferenceStatistics(
  images: string,
  target: string,
  extractor: FeatureExtractor,
  options: Omit<RunOptions, 'random'>,
): Promise<Reference> {
  const source = await openSamples(images, true);
  const collection = await collectResumably(source, 'reference', extractor, options);
  await saveCollection(target, collection, originOf(source, extractor));
  return referenceFromCollection(collection, source.name, source.fingerprint);
}

async function readReference(path: string, extractor: FeatureExtractor, options: RunOptions): Promise<Reference> {
  if (!existsSync(path)) throw new Error(`evaluatePaths: the reference ${path} does not exist`);
  if ((await referenceKind(path)) === 'statistics') return loadReference(path, extractor);
  const source = await openSamples(path, true);
  const collection = await collectResumably(source, 'reference', extractor, options);
  return referenceFromCollection(collection, source.name, source.fingerprint);
}

async function collectResumably(
  source: SampleSource,
  what: 'samples' | 'reference',
  extractor: FeatureExtractor,
  { workFolder, saveEvery, batchSize, keep, onProgress }: Omit<RunOptions, 'random'>,
): Promise<Collection> {
  const origin = originOf(source, extractor);
  const progress = { batchSize, onProgress: (done: number, total: number) => onProgress?.(what, done, total) };
  if (workFolder === undefined)
    return collect(source, extractor, createCollection(extractor, source.count, keep), progress);
  await mkdir(workFolder, { recursive: true });
  const file = join(workFolder, `${what}.safetensors`);
  const collection = (await unfinished(file, extractor, origin)) ?? createCollection(extractor, source.count, keep);
  const save = (state: Collection) => saveCollection(file, state, origin);
  return collect(source, extractor, collection, { ...progress, save, saveEvery });
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
    if (JSON.stringify(saved.origin) === JSON.stringify(origin)) return saved.collection;
  } catch {
    // damaged or another network's: it is only a cache, begin anew
  }
  await rm(file);
  return undefined;
}

function originOf(source: SampleSource, extractor: FeatureExtractor): CollectionOrigin {
  return {
    source: source.name,
    fingerprint: source.fingerprint,
    total: source.count,
    extractor: extractor.name,
    weightsHash: extractor.weightsHash,
  };
}
