// One file of a latent cache that is being written: it gets its name only when it is complete, and states in its metadata
// what it was made from, how far it reaches, and a hash of its content.
import {
  assertContentHash,
  fileSystemError,
  fromFloat32,
  type HostTensor,
  readSafetensors,
  withContentHash,
  writeSafetensors,
} from '@tb/io';
import type { Share } from '@tb/runtime';
import { assertLabels, assertShard, type LatentCacheInfo, type LatentShard, momentsLength } from './latent-cache.js';

// h, w, C = height, width and channels of a latent

/** One sample to store. */
export type CacheSample = {
  /** Mean and log-variance of the image and of its mirror image [2, h, w, 2C]. */
  moments: Float32Array;
  label: number;
  /** Place of the image in its source, from 0. */
  place: number;
};

/** Samples to store, in the order of their places. */
export type CachePart = {
  /** Identifies everything that decides the samples. Shards of another origin are made again. */
  origin: string;
  /** Images of the source. */
  length: number;
  /** Samples of the images from `place` on, and before `end`, which is the last one by default. */
  samplesFrom(place: number, end?: number): AsyncIterable<CacheSample>;
};

export type CacheOptions = {
  samplesPerShard: number;
  /** Receives a line for each shard of an interrupted cache that cannot be kept. */
  onReplaced?: (line: string) => void;
  /** The part of the work that this process does. Several processes write the same files at any number of them. */
  share?: Share;
  /** Waits until the shards of other processes are there; `missing` counts those that are not. */
  waitForOthers?: (missing: () => Promise<number>) => Promise<void>;
};

/** What the files of one part have in common. */
export type PartOptions = CacheOptions & { folder: string; name: string; info: LatentCacheInfo };

/** A sample as it is stored, in half the memory. */
export type StoredSample = Omit<CacheSample, 'moments'> & { moments: Uint16Array };

/** Rounds a sample to half precision. */
export const storedSample = ({ moments, ...sample }: CacheSample): StoredSample => ({
  ...sample,
  moments: fromFloat32(moments, 'F16') as Uint16Array,
});

export const shardName = (name: string, shard: number) => `${name}-${String(shard).padStart(5, '0')}.safetensors`;

/** Writes a file with samples. */
export async function writeShard(
  path: string,
  file: string,
  samples: readonly StoredSample[],
  { latentShape }: LatentCacheInfo,
  metadata: Record<string, string>,
): Promise<LatentShard> {
  const tensors = packShard(samples, latentShape);
  await writeSafetensors(path, tensors, { metadata: withContentHash(tensors, metadata) });
  return { file, samples: samples.length };
}

/** Reads a shard that is not yet in a manifest. @throws FileFormatError when it is damaged */
export async function readShard(path: string, { latentShape, classNames }: LatentCacheInfo) {
  const content = await readSafetensors(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === undefined ? error : fileSystemError(path, 'read', error);
  });
  assertContentHash(path, content);
  const { tensors, metadata } = content;
  const samples = tensors.labels?.shape[0] ?? 0;
  assertShard(path, tensors, latentShape, samples);
  assertLabels(path, tensors.labels.data as Int32Array, classNames.length);
  return { samples, origin: metadata.origin, next: Number(metadata.next) };
}

function packShard(
  samples: readonly StoredSample[],
  shape: LatentCacheInfo['latentShape'],
): Record<string, HostTensor> {
  const [height, width, channels] = shape;
  const length = 2 * momentsLength(shape);
  const moments = new Uint16Array(samples.length * length);
  for (const [row, sample] of samples.entries()) moments.set(sample.moments, row * length);
  return {
    moments: {
      dtype: 'F16',
      shape: [samples.length, 2, height, width, 2 * channels],
      data: moments,
    },
    labels: { dtype: 'I32', shape: [samples.length], data: Int32Array.from(samples, ({ label }) => label) },
  };
}
