import {
  collect,
  createCollection,
  type EvaluationReport,
  evaluate,
  type FeatureExtractor,
  type Reference,
  referenceFromCollection,
  samplesInMemory,
} from '@tb/metrics';
import { hostRandom } from '@tb/runtime';
import type { LabelledImages } from './generated-images.js';

export type NamedImages = LabelledImages & { name: string; settings?: Record<string, unknown> };

/** Called after each batch of images that went through the network. */
type OnProgress = (done: number, total: number) => void;

export type MeasureOptions = {
  /** Seed of the bootstrap and of the subsets of the kernel distance. */
  seed: number;
  /** Number of bootstrap draws (default 10). */
  resamples?: number;
  onProgress?: OnProgress;
};

/** Measures the images with which others are compared. */
export async function measureReference(
  images: NamedImages,
  extractor: FeatureExtractor,
  onProgress?: OnProgress,
): Promise<Reference> {
  return referenceFromCollection((await collectAll(images, extractor, onProgress)).collection, images.name);
}

/** Compares images in memory with a reference. */
export async function measureImages(
  images: NamedImages,
  reference: Reference,
  extractor: FeatureExtractor,
  { seed, resamples, onProgress }: MeasureOptions,
): Promise<EvaluationReport> {
  const { source, collection } = await collectAll(images, extractor, onProgress);
  return evaluate(source, collection, reference, extractor, { random: hostRandom(seed).uniform, resamples });
}

async function collectAll(
  { name, settings, images, labels, size }: NamedImages,
  extractor: FeatureExtractor,
  onProgress?: OnProgress,
) {
  const { length: count } = labels;
  const source = { ...samplesInMemory(name, { pixels: images, count, height: size, width: size }), settings };
  return { source, collection: await collect(source, extractor, createCollection(extractor, count), { onProgress }) };
}
