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
import type { LabelledPictures } from './generated-images.js';

export type NamedPictures = LabelledPictures & { name: string; settings?: Record<string, unknown> };

export type MeasureOptions = {
  /** Of the bootstrap and of the kernel distance's subsets. */
  seed: number;
  /** Draws of the bootstrap (default 10). */
  resamples?: number;
};

/** Compares pictures in memory with others. */
export async function measurePictures(
  pictures: NamedPictures,
  reference: NamedPictures,
  extractor: FeatureExtractor,
  { seed, resamples }: MeasureOptions,
): Promise<EvaluationReport> {
  const truth = referenceFromCollection((await collectAll(reference, extractor)).collection, reference.name);
  const { source, collection } = await collectAll(pictures, extractor);
  return evaluate(source, collection, truth, extractor, { random: hostRandom(seed).uniform, resamples });
}

async function collectAll({ name, settings, images, labels, size }: NamedPictures, extractor: FeatureExtractor) {
  const { length: count } = labels;
  const source = { ...samplesInMemory(name, { pixels: images, count, height: size, width: size }), settings };
  return { source, collection: await collect(source, extractor, createCollection(extractor, count)) };
}
