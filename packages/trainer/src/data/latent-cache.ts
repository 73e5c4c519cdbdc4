// A latent cache is a folder of safetensors shards, `cache.json` that describes them, and a manifest with a SHA-256 per
// file, written last. Each sample holds the autoencoder's moments of a picture and of its mirror image.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openSafetensors, type SafetensorsFile } from '@tb/io';
import { findDamage } from '../run-folder/manifest.js';

// n = samples of a shard, h, w, C = height, width and channels of a latent

export type LatentCacheInfo = {
  classNames: string[];
  /** Side of the pictures in pixels. */
  imageSize: number;
  /** Height, width, channels. */
  latentShape: [number, number, number];
  /** A latent times this has about unit variance. */
  latentScale: number;
  /** SHA-256 of the autoencoder's weights. */
  vaeSha256: string;
};

/** A file of samples: `moments` float16 [n, 2, h, w, 2C] of pictures and their mirror images, `labels` int32 [n]. */
export type LatentShard = { file: string; samples: number };

/** What `cache.json` holds. */
export type LatentCacheIndex = LatentCacheInfo & {
  shards: LatentShard[];
  /** Pictures that training does not see; absent in caches made without any. */
  heldOutShards?: LatentShard[];
};

/** A set of samples, drawn from by index. */
export type LatentSamples = {
  readonly length: number;
  labelOf(index: number): number;
  /** Moments [h, w, 2C] of a picture or of its mirror image, as float16 bits. */
  read(index: number, mirror: boolean): Promise<Uint16Array>;
};

/** An open cache: the samples to train on, and those to validate on where it has any. */
export type LatentCache = LatentCacheIndex &
  LatentSamples & {
    readonly heldOut?: LatentSamples;
    close(): Promise<void>;
  };

export const cacheFormat = 'tokenbridge-latents';
export const indexFile = 'cache.json';

/** Numbers in the moments [h, w, 2C] of one picture. */
export const momentsLength = ([height, width, channels]: LatentCacheInfo['latentShape']) =>
  height * width * 2 * channels;

/**
 * Opens a cache after checking every file's hash.
 *
 * @throws Error saying what is wrong with the folder
 */
export async function openLatentCache(folder: string): Promise<LatentCache> {
  const damage = await findDamage(folder, cacheFormat);
  if (damage !== undefined) throw new Error(`the latent cache cannot be used: ${damage}; make it with tb-train cache`);
  const index = JSON.parse(await readFile(join(folder, indexFile), 'utf8')) as LatentCacheIndex;
  const openFiles: SafetensorsFile[] = [];
  const open = async (shards: readonly LatentShard[]) => {
    const files = await Promise.all(shards.map(({ file }) => openSafetensors(join(folder, file))));
    openFiles.push(...files);
    return samplesOf(files, shards, momentsLength(index.latentShape));
  };
  return {
    ...index,
    ...(await open(index.shards)),
    heldOut: index.heldOutShards && (await open(index.heldOutShards)),
    async close() {
      for (const file of openFiles) await file.close();
    },
  };
}

async function samplesOf(
  files: readonly SafetensorsFile[],
  shards: readonly LatentShard[],
  length: number,
): Promise<LatentSamples> {
  const starts = shards.map((_, shard) => shards.slice(0, shard).reduce((sum, { samples }) => sum + samples, 0));
  const labels: number[] = [];
  for (const file of files) labels.push(...((await file.read('labels')).data as Int32Array));
  const whole = await readWhole(files);
  const rowOf = async (shard: number, row: number) => {
    if (whole) return whole[shard].subarray(row * 2 * length, (row + 1) * 2 * length);
    return (await files[shard].readRows('moments', row, row + 1)).data as Uint16Array;
  };
  return {
    length: labels.length,
    labelOf: (index) => labels[index],
    async read(index, mirror) {
      const shard = starts.findLastIndex((start) => start <= index);
      const row = await rowOf(shard, index - starts[shard]);
      return mirror ? row.subarray(length) : row.subarray(0, length);
    },
  };
}

const largestInMemory = 2 ** 30;

/** Samples of up to a gigabyte are read once and kept; more are read row by row. */
async function readWhole(files: readonly SafetensorsFile[]): Promise<Uint16Array[] | undefined> {
  const bytes = files.reduce((sum, { tensors }) => sum + tensors.moments.byteLength, 0);
  if (bytes > largestInMemory) return undefined;
  return Promise.all(files.map(async (file) => (await file.read('moments')).data as Uint16Array));
}
