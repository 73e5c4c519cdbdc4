import {
  collect,
  createCollection,
  type EvaluationReport,
  evaluate,
  type FeatureExtractor,
  referenceFromCollection,
  samplesInMemory,
} from '@tb/metrics';
import { hostRandom } from '@tb/runtime';
import type { LabelledImages } from './generated-images.js';

export type NamedImages = LabelledImages & { name: string; settings?: Record<string, unknown> };

export type MeasureOptions = {
  /** Seed of the bootstrap and of the subsets of the kernel distance. */
  seed: number;
  /** Number of bootstrap draws (default 10). */
  resamples?: number;
};

/** Compares images in memory with reference images. */
export async function measureImages(
  images: NamedImages,
  reference: NamedImages,
  extractor: FeatureExtractor,
  { seed, resamples }: MeasureOptions,
): Promise<EvaluationReport> {
  const truth = referenceFromCollection((await collectAll(reference, extractor)).collection, reference.name);
  const { source, collection } = await collectAll(images, extractor);
  return evaluate(source, collection, truth, extractor, { random: hostRandom(seed).uniform, resamples });
}

async function collectAll({ name, settings, images, labels, size }: NamedImages, extractor: FeatureExtractor) {
  const { length: count } = labels;
  const source = { ...samplesInMemory(name, { pixels: images, count, height: size, width: size }), settings };
  return { source, collection: await collect(source, extractor, createCollection(extractor, count)) };
}
