import { toFloat32 } from '@tb/io';
import { hostRandom } from '@tb/runtime';
import { type BatchShare, completeBatch } from './batch-share.js';
import { type BatchSource, createDataOrder, prefetch } from './batches.js';
import { type LatentCache, type LatentCacheInfo, type LatentSamples, momentsLength } from './latent-cache.js';

// N = images, h, w, C = height, width and channels of a latent

/** A batch of samples from a latent cache. */
export type LatentBatch = {
  /** Mean and log-variance [N, h, w, 2C]. */
  moments: Float32Array;
  /** Classes [N]. */
  labels: Int32Array;
  /** Places in the cache. */
  indices: number[];
};

export type LatentBatchOptions = {
  batchSize: number;
  seed: number;
  /** Step of the first batch. */
  firstStep: number;
  flip: boolean;
  /** What this process reads of each batch; default all. */
  share?: BatchShare;
};

/** Opens batches of cached latents in random order, half of them mirrored. */
export function openLatentBatches(cache: LatentCache, options: LatentBatchOptions): BatchSource<LatentBatch> {
  const { batchSize, seed, firstStep, flip, share = completeBatch } = options;
  const rows = share.rowsOf(batchSize);
  const order = createDataOrder(cache.length, seed);
  const make = (step: number): Promise<LatentBatch> => {
    const places = rows.map((row) => {
      const { index, epoch } = order.at(step * batchSize + row);
      return { index, mirror: flip && hostRandom(seed, epoch, index).uniform() < 0.5 };
    });
    return readBatch(cache, cache.latentShape, places);
  };
  return {
    samplesPerEpoch: cache.length,
    batchSize,
    next: prefetch(make, firstStep, 2).next,
    describe: ({ indices }) => `cache samples ${indices.slice(0, 16).join(', ')}`,
    close: async () => {},
  };
}

/** Reads the first `count` held-out samples of a cache, in batches. Samples that do not fill a batch are left out. */
export async function readHeldOutLatents(
  { heldOut, latentShape }: LatentCache,
  count: number,
  largestBatch: number,
): Promise<LatentBatch[]> {
  if (!heldOut) return [];
  const total = Math.min(count, heldOut.length);
  const batchSize = Math.min(largestBatch, total);
  const batches: LatentBatch[] = [];
  for (let first = 0; first + batchSize <= total; first += batchSize) {
    const places = Array.from({ length: batchSize }, (_, row) => ({ index: first + row, mirror: false }));
    batches.push(await readBatch(heldOut, latentShape, places));
  }
  return batches;
}

async function readBatch(
  samples: LatentSamples,
  shape: LatentCacheInfo['latentShape'],
  places: readonly { index: number; mirror: boolean }[],
): Promise<LatentBatch> {
  const length = momentsLength(shape);
  const bits = new Uint16Array(places.length * length);
  const place = async ({ index, mirror }: { index: number; mirror: boolean }, row: number) => {
    bits.set(await samples.read(index, mirror), row * length);
  };
  await Promise.all(places.map(place));
  return {
    moments: toFloat32({ dtype: 'F16', shape: [bits.length], data: bits }),
    labels: Int32Array.from(places, ({ index }) => samples.labelOf(index)),
    indices: places.map(({ index }) => index),
  };
}
