import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { InputError, printable } from '@tb/io';
import { openSampleFolder, type SampleFolderOptions } from '../samples/folder.js';
import { openSampleNpz } from '../samples/npz.js';
import type { SampleSource } from '../samples/sample-source.js';
import { saveCollection } from './collection-file.js';
import { type EvaluateOptions, type EvaluationReport, evaluate } from './evaluate.js';
import type { FeatureExtractor } from './feature-extractor.js';
import { loadReference, type Reference, referenceContent, referenceFromCollection } from './reference.js';
import { type CollectRunOptions, finishPass, openPass } from './resumable.js';

/** How samples are opened. References may always be lossy. */
export type SampleOptions = SampleFolderOptions & {
  /** Receives a line for a folder of images: how many it has, and what was left out. */
  readonly onFound?: (line: string) => void;
};

/** Options of `evaluatePaths`. */
export type RunOptions = EvaluateOptions & CollectRunOptions & SampleOptions;

/**
 * Opens samples: a folder of images, or an `.npz` file with `arr_0`.
 *
 * @throws Error if `path` is neither, or holds what `openSampleFolder` or `openSampleNpz` refuses
 */
export async function openSamples(path: string, options: SampleOptions = {}): Promise<SampleSource> {
  if (!existsSync(path)) throw new InputError('openSamples', `${printable(path)} does not exist`);
  if (extname(path) === '.npz') return openSampleNpz(path);
  if (!(await stat(path)).isDirectory()) {
    throw new InputError('openSamples', `${printable(path)} must be a folder of images or an .npz file of samples`);
  }
  const source = await openSampleFolder(path, options);
  options.onFound?.(printable(`${path}: ${source.summary}`));
  return source;
}

/**
 * Evaluates samples against a reference: from files to numbers.
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
  const source = await openSamples(samples, options);
  const content = await referenceContent(reference);
  const images = content.images ? await openSamples(reference, { ...options, allowLossy: true }) : undefined;
  for (const { name, count } of images && !content.statistics ? [source, images] : [source]) {
    if (count < 2) throw new InputError('evaluatePaths', `${name} holds one image; a covariance needs at least 2`);
  }
  const network = typeof extractor === 'function' ? await extractor() : extractor;
  const statistics = content.statistics ? await loadReference(reference, network) : undefined;
  const ofReference = images && (await openPass(images, 'reference', network, options));
  const ofSamples = await openPass(source, 'samples', network, options); // refused before hours of work on the reference
  const collected = ofReference && (await finishPass(ofReference, network, options));
  const truth = joinReference(statistics, collected && referenceFromCollection(collected, reference));
  const collection = await finishPass(ofSamples, network, options);
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
  options: CollectRunOptions & SampleOptions,
): Promise<Reference> {
  if (extname(target) !== '.safetensors') {
    throw new InputError(
      'saveReferenceStatistics',
      `the name of the statistics must end with .safetensors, got ${target}`,
    );
  }
  const source = await openSamples(images, { ...options, allowLossy: true });
  const network = typeof extractor === 'function' ? await extractor() : extractor;
  const pass = await openPass(source, 'reference', network, options);
  const collection = await finishPass(pass, network, options);
  await saveCollection(target, collection, pass.origin);
  return referenceFromCollection(collection, source.name);
}
