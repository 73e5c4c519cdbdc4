import { toFloat32 } from '@tb/io';
import { hostRandom } from '@tb/runtime';
import { type BatchSource, prefetch } from './batches.js';
import { createDataOrder } from './data-order.js';
import type { LatentCache } from './latent-cache.js';

// N = images, h, w, C = height, width and channels of a latent

export type LatentBatch = {
  /** Mean and log-variance [N, h, w, 2C]. */
  moments: Float32Array;
  /** Classes [N]. */
  labels: Int32Array;
  /** Places in the cache. */
  indices: number[];
};

export type LatentBatchOptions = { batchSize: number; seed: number; firstStep: number; flip: boolean };

/** Batches of cached latents in random order, half of them mirrored. */
export function openLatentBatches(cache: LatentCache, options: LatentBatchOptions): BatchSource<LatentBatch> {
  const { batchSize, seed, firstStep, flip } = options;
  const order = createDataOrder(cache.length, seed);
  const [height, width, channels] = cache.latentShape;
  const length = height * width * channels * 2;
  const make = async (step: number): Promise<LatentBatch> => {
    const places = Array.from({ length: batchSize }, (_, row) => order.at(step * batchSize + row));
    const bits = new Uint16Array(batchSize * length);
    const place = async ({ index, epoch }: { index: number; epoch: number }, row: number) => {
      const mirror = flip && hostRandom(seed, epoch, index).uniform() < 0.5;
      bits.set(await cache.read(index, mirror), row * length);
    };
    await Promise.all(places.map(place));
    return {
      moments: toFloat32({ dtype: 'F16', shape: [bits.length], data: bits }),
      labels: Int32Array.from(places, ({ index }) => cache.labelOf(index)),
      indices: places.map(({ index }) => index),
    };
  };
  return {
    samplesPerEpoch: cache.length,
    batchSize,
    next: prefetch(make, firstStep, 2).next,
    describe: ({ indices }) => `cache samples ${indices.slice(0, 16).join(', ')}`,
    close: async () => {},
  };
}
