import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { InputError, workAhead } from '@tb/io';
import { backendTraits } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { accumulate, createAccumulator, type StatisticsAccumulator } from '../gaussian-statistics.js';
import { accumulateInceptionScore, createInceptionScore, type InceptionScoreAccumulator } from '../inception-score.js';
import { numpyPermutation } from '../numpy-permutation.js';
import type { SampleBatch, SampleSource } from '../samples/sample-source.js';
import type { ExtractedFeatures, FeatureExtractor } from './feature-extractor.js';

/** torch-fidelity deals samples to the Inception Score's splits in the order that this seed gives. */
const SPLIT_SEED = 2020;
const SPLITS = 10;
/** As many images as ADM's reference batches have. */
export const KEPT_IMAGES = 10_000;

/** Everything that one pass over a set of images gathers. */
export type Collection = {
  /** Number of images seen. */
  count: number;
  /** SHA-256 over sizes and pixels of the images seen, in their order, whatever files they came from. */
  pixelHash: string;
  readonly pool: StatisticsAccumulator;
  /** Statistics of the features of sFID, where the network has them. */
  readonly spatial?: StatisticsAccumulator;
  /** Sums of the Inception Score, where the network has logits and there are at least as many images as parts. */
  readonly score?: InceptionScoreAccumulator;
  /** Pool features of the first `kept` images [kept, D]: what precision, recall and KID are computed from. */
  readonly features: Float32Array;
};

/** Options of `collect`. */
export type CollectOptions = {
  /** Images per forward pass (default 32). */
  readonly batchSize?: number;
  /** Called after each batch. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Called about every `saveEvery` images with what has been gathered so far, so that a long run can be resumed. */
  readonly save?: (collection: Collection) => Promise<void>;
  /** Default 2,000. */
  readonly saveEvery?: number;
  /** When aborted, what has been gathered is saved, and its reason thrown. */
  readonly signal?: AbortSignal;
};

/**
 * Makes an empty collection.
 *
 * @param total - how many images will come
 * @param keep - how many images' features are kept
 */
export function createCollection(extractor: FeatureExtractor, total: number, keep = KEPT_IMAGES): Collection {
  const { dimensions, spatialDimensions, classes } = extractor;
  return {
    count: 0,
    pixelHash: '',
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
 * @param collection - is continued: pass a loaded one to resume
 * @returns the same collection
 */
export async function collect(
  source: SampleSource,
  extractor: FeatureExtractor,
  collection: Collection,
  { batchSize = 32, onProgress, save, saveEvery = 2_000, signal }: CollectOptions = {},
): Promise<Collection> {
  let unsaved = 0;
  const saveRest = async () => {
    if (save && unsaved > 0) await save(collection);
    unsaved = 0;
  };
  // Images are decoded while the network computes, and where it computes elsewhere, both while this thread accumulates.
  const batches = workAhead(source.batches(batchSize, collection.count), (batch) => batch, 2);
  const extract = async (batch: SampleBatch) => {
    await nextTurn(); // so that a Ctrl-C is heard
    signal?.throwIfAborted();
    return { batch, features: await extractFrom(batch, extractor, batchSize) };
  };
  try {
    for await (const { batch, features } of workAhead(batches, extract, backendTraits().runsAhead ? 2 : 1)) {
      addBatch(collection, extractor, batch, features);
      onProgress?.(collection.count, source.count);
      unsaved += batch.count;
      if (unsaved >= saveEvery) await saveRest();
      signal?.throwIfAborted();
    }
  } catch (error) {
    if (signal?.aborted) await saveRest();
    throw error;
  }
  await saveRest();
  return collection;
}

function addBatch(
  collection: Collection,
  extractor: FeatureExtractor,
  batch: SampleBatch,
  [pool, spatial, logits]: BatchFeatures,
): void {
  accumulate(collection.pool, pool);
  if (collection.spatial && spatial) accumulate(collection.spatial, spatial);
  if (collection.score && logits) accumulateInceptionScore(collection.score, logits);
  const position = collection.count * extractor.dimensions;
  if (position < collection.features.length) {
    collection.features.set(pool.subarray(0, collection.features.length - position), position);
  }
  collection.pixelHash = hashPixels(collection.pixelHash, batch);
  collection.count += batch.count;
}

/** One image after another, so that the hash neither depends on batches nor has to be finished in one run. */
function hashPixels(hash: string, { pixels, count, height, width }: SampleBatch): string {
  const stride = height * width * 3;
  let chained = hash;
  for (let i = 0; i < count; i++) {
    const image = pixels.subarray(i * stride, (i + 1) * stride);
    chained = createHash('sha256').update(`${chained} ${width}x${height} `).update(image).digest('hex');
  }
  return chained;
}

type BatchFeatures = [pool: Float32Array, spatial?: Float32Array, logits?: Float32Array];

async function extractFrom(batch: SampleBatch, extractor: FeatureExtractor, batchSize: number): Promise<BatchFeatures> {
  const { count, height, width, pixels } = batch;
  // A smaller last batch would be a separate program.
  const rows = backendTraits().compilesPerShape ? Math.max(count, batchSize) : count;
  const values = new Float32Array(rows * height * width * 3);
  values.set(pixels);
  try {
    const images = tf.tensor4d(values, [rows, height, width, 3]);
    const features = extractor.extract(images);
    images.dispose();
    return await readAndDispose(features, count);
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    throw new InputError(
      'collect',
      `memory ran out on ${rows} images of ${width}×${height} at once; fewer need less (--batch)`,
      { cause: error },
    );
  }
}

/** Returns the features of the first `count` images. */
async function readAndDispose({ pool, spatial, logits }: ExtractedFeatures, count: number): Promise<BatchFeatures> {
  const read = async (tensor: tf.Tensor) => {
    const data = (await tensor.data()) as Float32Array;
    const width = tensor.size / tensor.shape[0];
    tensor.dispose();
    return data.subarray(0, count * width);
  };
  return [await read(pool), spatial && (await read(spatial)), logits && (await read(logits))];
}
