import { type HostTensor, readSafetensors, writeSafetensors } from '@tb/io';
import type { StatisticsAccumulator } from '../gaussian-statistics.js';
import { type Collection, createCollection } from './collect.js';
import type { FeatureExtractor } from './feature-extractor.js';

/** What must be equal for a saved collection to be continued or used as a reference. */
export type CollectionOrigin = {
  readonly source: string;
  readonly fingerprint: string;
  readonly total: number;
  /** Images whose features are kept. */
  readonly kept: number;
  readonly extractor: string;
  readonly weightsHash: string;
};

const FORMAT = 'tb-metrics-collection-1';

/** Saves a collection, whole or unfinished, as one safetensors file, atomically. */
export async function saveCollection(path: string, collection: Collection, origin: CollectionOrigin): Promise<void> {
  const tensors: Record<string, HostTensor> = Object.create(null);
  const f64 = (data: Float64Array, shape: number[]): HostTensor => ({
    dtype: 'F64',
    shape,
    data: data as Float64Array<ArrayBuffer>,
  });
  const { pool, spatial, score, features } = collection;
  const statistics = (name: string, { dimensions, shift, sum, products }: StatisticsAccumulator) => {
    tensors[`${name}.shift`] = f64(shift, [dimensions]);
    tensors[`${name}.sum`] = f64(sum, [dimensions]);
    tensors[`${name}.products`] = f64(products, [dimensions, dimensions]);
  };
  statistics('pool', pool);
  if (spatial) statistics('spatial', spatial);
  if (score) {
    const { counts, negativeEntropy, marginals, classes } = score;
    tensors['score.counts'] = f64(counts, [counts.length]);
    tensors['score.negative_entropy'] = f64(negativeEntropy, [counts.length]);
    tensors['score.marginals'] = f64(marginals, [counts.length, classes]);
  }
  tensors.features = {
    dtype: 'F32',
    shape: [features.length / pool.dimensions, pool.dimensions],
    data: features as Float32Array<ArrayBuffer>,
  };
  const { count, pixelHash } = collection;
  const metadata = { format: FORMAT, count: `${count}`, pixelHash, origin: JSON.stringify(origin) };
  await writeSafetensors(path, tensors, { metadata });
}

/**
 * Loads a collection of the same extractor.
 *
 * @returns the collection and where it came from
 * @throws FileFormatError if the file is damaged, Error if it is another kind of file or another network's
 */
export async function loadCollection(
  path: string,
  extractor: FeatureExtractor,
): Promise<{ collection: Collection; origin: CollectionOrigin }> {
  const { tensors, metadata } = await readSafetensors(path);
  if (metadata.format !== FORMAT) {
    throw new Error(
      `loadCollection: ${path} must be a statistics file of this package (${FORMAT}), got ${metadata.format ?? 'another safetensors file'}`,
    );
  }
  const origin = JSON.parse(metadata.origin) as CollectionOrigin;
  if (origin.extractor !== extractor.name || origin.weightsHash !== extractor.weightsHash) {
    throw new Error(
      `loadCollection: ${path} was made with ${origin.extractor} (${origin.weightsHash.slice(0, 12)}…), this run uses ` +
        `${extractor.name} (${extractor.weightsHash.slice(0, 12)}…): the numbers cannot be compared. Make it anew.`,
    );
  }
  const collection = createCollection(extractor, origin.total, origin.kept);
  collection.count = Number(metadata.count);
  collection.pixelHash = metadata.pixelHash;
  const copy = (name: string, target: Float64Array | Float32Array) => target.set(tensors[name].data as Float64Array);
  for (const name of ['pool', 'spatial'] as const) {
    const statistics = collection[name];
    if (!statistics) continue;
    copy(`${name}.shift`, statistics.shift);
    copy(`${name}.sum`, statistics.sum);
    copy(`${name}.products`, statistics.products);
    statistics.count = collection.count;
  }
  if (collection.score) {
    copy('score.counts', collection.score.counts);
    copy('score.negative_entropy', collection.score.negativeEntropy);
    copy('score.marginals', collection.score.marginals);
    collection.score.seen = collection.count;
  }
  copy('features', collection.features);
  return { collection, origin };
}
