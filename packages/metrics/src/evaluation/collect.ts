import * as tf from '@tensorflow/tfjs-core';
import { accumulate, createAccumulator, type StatisticsAccumulator } from '../gaussian-statistics.js';
import { accumulateInceptionScore, createInceptionScore, type InceptionScoreAccumulator } from '../inception-score.js';
import { numpyPermutation } from '../numpy-permutation.js';
import type { SampleBatch, SampleSource } from '../samples/sample-source.js';
import type { ExtractedFeatures, FeatureExtractor } from './feature-extractor.js';

/** torch-fidelity deals samples to the Inception Score's splits in the order that this seed gives. */
const SPLIT_SEED = 2020;
const SPLITS = 10;

/** Everything that one pass over a set of images leaves behind. */
export type Collection = {
  /** Images seen. */
  count: number;
  readonly pool: StatisticsAccumulator;
  readonly spatial?: StatisticsAccumulator;
  readonly score?: InceptionScoreAccumulator;
  /** Pool features of the first `kept` images [kept, D]: what precision, recall and KID are computed from. */
  readonly features: Float32Array;
};

export type CollectOptions = {
  /** Images per forward pass (default 32). */
  readonly batchSize?: number;
  /** How many images' features are kept for precision, recall and KID (default 10,000, as ADM's evaluator). */
  readonly keep?: number;
  /** Called after each batch. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Called about every `saveEvery` images with what has been gathered so far, so that a long run can be resumed. */
  readonly save?: (collection: Collection) => Promise<void>;
  readonly saveEvery?: number;
};

/** An empty collection for a source. */
export function createCollection(extractor: FeatureExtractor, total: number, keep = 10_000): Collection {
  const { dimensions, spatialDimensions, classes } = extractor;
  return {
    count: 0,
    pool: createAccumulator(dimensions),
    spatial: spatialDimensions ? createAccumulator(spatialDimensions) : undefined,
    score:
      classes && total >= SPLITS
        ? createInceptionScore(classes, total, { splits: SPLITS, order: numpyPermutation(SPLIT_SEED, total) })
        : undefined,
    features: new Float32Array(Math.min(keep, total) * dimensions),
  };
}

/**
 * Runs all images of a source through the network, a batch at a time; memory does not grow with their number.
 *
 * @param collection - continued where it stands: pass a loaded one to resume
 * @returns the same collection
 */
export async function collect(
  source: SampleSource,
  extractor: FeatureExtractor,
  collection: Collection,
  { batchSize = 32, onProgress, save, saveEvery = 2_000 }: CollectOptions = {},
): Promise<Collection> {
  let unsaved = 0;
  for await (const batch of source.batches(batchSize, collection.count)) {
    await addBatch(collection, extractor, batch);
    onProgress?.(collection.count, source.count);
    unsaved += batch.count;
    if (save && unsaved >= saveEvery) {
      await save(collection);
      unsaved = 0;
    }
  }
  if (save && unsaved > 0) await save(collection);
  return collection;
}

async function addBatch(collection: Collection, extractor: FeatureExtractor, batch: SampleBatch): Promise<void> {
  const { count, height, width, pixels } = batch;
  const images = tf.tensor4d(Float32Array.from(pixels), [count, height, width, 3]);
  const features = extractor.extract(images);
  images.dispose();
  const [pool, spatial, logits] = await readAndDispose(features);
  accumulate(collection.pool, pool);
  if (collection.spatial && spatial) accumulate(collection.spatial, spatial);
  if (collection.score && logits) accumulateInceptionScore(collection.score, logits);
  const position = collection.count * extractor.dimensions;
  if (position < collection.features.length) {
    collection.features.set(pool.subarray(0, collection.features.length - position), position);
  }
  collection.count += count;
}

async function readAndDispose({
  pool,
  spatial,
  logits,
}: ExtractedFeatures): Promise<[Float32Array, Float32Array | undefined, Float32Array | undefined]> {
  const read = async (tensor: tf.Tensor) => {
    const data = (await tensor.data()) as Float32Array;
    tensor.dispose();
    return data;
  };
  return [await read(pool), spatial && (await read(spatial)), logits && (await read(logits))];
}
