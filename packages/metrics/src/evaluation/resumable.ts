// Passes over images that take hours: what an interrupted one has gathered is kept in a folder, and the same command resumes.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { lockFolder, makeFolders, printable } from '@tb/io';
import type { SampleSource } from '../samples/sample-source.js';
import { type Collection, collect, createCollection, KEPT_IMAGES } from './collect.js';
import { type CollectionOrigin, loadCollection, saveCollection } from './collection-file.js';
import type { FeatureExtractor } from './feature-extractor.js';

export type CollectRunOptions = {
  /** Images per forward pass (default 32). */
  readonly batchSize?: number;
  /** Images whose features are kept for precision, recall, KID and the bootstrap (default 10,000). */
  readonly keep?: number;
  /** Folder for unfinished work: a run that was interrupted resumes from there. One process at a time uses it. */
  readonly workFolder?: string;
  /** How many images at most an interruption may cost (default 2,000); one by `signal` costs none. */
  readonly saveEvery?: number;
  /** Ends the run after the batch in progress, saved in `workFolder`, with the signal's reason as the error. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (what: 'samples' | 'reference', done: number, total: number) => void;
};

/** One pass over a set of images, at its beginning or where an interrupted run has left it. */
export type Pass = {
  readonly what: 'samples' | 'reference';
  readonly source: SampleSource;
  readonly origin: CollectionOrigin;
  readonly collection: Collection;
};

/**
 * Opens a pass, with what an interrupted run has left of it in `workFolder`.
 *
 * @throws Error if the folder holds the work of another evaluation, which this one would overwrite
 */
export async function openPass(
  source: SampleSource,
  what: Pass['what'],
  extractor: FeatureExtractor,
  { workFolder, keep }: CollectRunOptions,
): Promise<Pass> {
  const origin = originOf(source, extractor, keep);
  const file = workFolder === undefined ? undefined : workFile(workFolder, what);
  const saved = file !== undefined && existsSync(file) ? await loadWork(file, origin, extractor) : undefined;
  return { what, source, origin, collection: saved ?? createCollection(extractor, source.count, keep) };
}

/** Takes a pass to its end. @returns all that was gathered */
export async function finishPass(
  { what, source, origin, collection }: Pass,
  extractor: FeatureExtractor,
  { workFolder, saveEvery, batchSize, signal, onProgress }: CollectRunOptions,
): Promise<Collection> {
  const progress = (done: number, total: number) => onProgress?.(what, done, total);
  const options = { batchSize, signal, onProgress: progress };
  if (workFolder === undefined) return collect(source, extractor, collection, options);
  await makeFolders(workFolder);
  const save = (state: Collection) => saveCollection(workFile(workFolder, what), state, origin);
  const leave = await lockFolder(workFolder);
  try {
    return await collect(source, extractor, collection, { ...options, save, saveEvery });
  } finally {
    await leave();
  }
}

const workFile = (folder: string, what: Pass['what']) => join(folder, `${what}.safetensors`);

async function loadWork(file: string, expected: CollectionOrigin, extractor: FeatureExtractor): Promise<Collection> {
  const refuse = (reason: string): never => {
    throw new Error(
      `${file} cannot be resumed: ${printable(reason)}. Remove it to start again, or name another folder with --resume`,
    );
  };
  const { collection, origin } = await loadCollection(file, extractor).catch((error: Error) =>
    refuse(error.message.replace(/^loadCollection: /, '')),
  );
  const difference = differenceOf(origin, expected);
  return difference === undefined ? collection : refuse(difference);
}

/** Describes the first difference in words, if there is one. Equal images under another path count as the same. */
function differenceOf(saved: CollectionOrigin, expected: CollectionOrigin): string | undefined {
  const images = ({ source, total }: CollectionOrigin) => `${total} images of ${source}`;
  if (saved.total !== expected.total || saved.fingerprint !== expected.fingerprint)
    return `it is about ${images(saved)}, this run about ${images(expected)}, which are others or have changed`;
  if (saved.kept !== expected.kept)
    return `it keeps the features of ${saved.kept} images, this run those of ${expected.kept} (--keep)`;
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
