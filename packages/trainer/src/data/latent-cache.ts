// A latent cache is a folder of safetensors shards, `cache.json` that describes them, and a manifest with a SHA-256 per
// file, written last. Each sample holds the autoencoder's moments of a picture and of its mirror image.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromFloat32, type HostTensor, openSafetensors, writeFileAtomic, writeSafetensors } from '@tb/io';
import { findDamage, writeManifest } from '../checkpoint/manifest.js';

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
  shards: { file: string; samples: number }[];
};

export type LatentCache = LatentCacheInfo & {
  readonly length: number;
  labelOf(index: number): number;
  /** Moments [h, w, 2C] of a picture or of its mirror image, as float16 bits. */
  read(index: number, mirror: boolean): Promise<Uint16Array>;
  close(): Promise<void>;
};

const format = 'tokenbridge-latents';
const infoFile = 'cache.json';

/** One sample to store: moments [2, h, w, 2C] of the picture and its mirror image. */
export type CacheSample = { moments: Float32Array; label: number };

/**
 * Writes samples as they come, a shard at a time.
 *
 * @throws Error when the folder cannot be written; without a manifest it does not count as a cache
 */
export async function writeLatentCache(
  folder: string,
  info: Omit<LatentCacheInfo, 'shards'>,
  samples: AsyncIterable<CacheSample>,
  samplesPerShard: number,
): Promise<number> {
  await mkdir(folder, { recursive: true });
  const shards: LatentCacheInfo['shards'] = [];
  let waiting: CacheSample[] = [];
  const flush = async () => {
    const file = `latents-${String(shards.length).padStart(5, '0')}.safetensors`;
    await writeSafetensors(join(folder, file), packShard(waiting, info.latentShape));
    shards.push({ file, samples: waiting.length });
    waiting = [];
  };
  for await (const sample of samples) {
    waiting.push(sample);
    if (waiting.length === samplesPerShard) await flush();
  }
  if (waiting.length > 0) await flush();
  await writeFileAtomic(join(folder, infoFile), `${JSON.stringify({ ...info, shards }, null, 2)}\n`);
  await writeManifest(folder, format, [infoFile, ...shards.map(({ file }) => file)]);
  return shards.reduce((sum, shard) => sum + shard.samples, 0);
}

function packShard(samples: readonly CacheSample[], [height, width, channels]: LatentCacheInfo['latentShape']) {
  const length = 2 * height * width * 2 * channels;
  const moments = new Float32Array(samples.length * length);
  for (const [row, sample] of samples.entries()) moments.set(sample.moments, row * length);
  const shape = [samples.length, 2, height, width, 2 * channels];
  const tensors: Record<string, HostTensor> = {
    moments: { dtype: 'F16', shape, data: fromFloat32(moments, 'F16') },
    labels: { dtype: 'I32', shape: [samples.length], data: Int32Array.from(samples, ({ label }) => label) },
  };
  return tensors;
}

/**
 * Opens a cache after checking every file's hash.
 *
 * @throws Error saying what is wrong with the folder
 */
export async function openLatentCache(folder: string): Promise<LatentCache> {
  const damage = await findDamage(folder, format);
  if (damage !== undefined)
    throw new Error(`latent cache ${folder} cannot be used: ${damage}; make it with tb-train cache`);
  const info = JSON.parse(await readFile(join(folder, infoFile), 'utf8')) as LatentCacheInfo;
  const shards = await Promise.all(info.shards.map(({ file }) => openSafetensors(join(folder, file))));
  const starts = info.shards.map((_, shard) =>
    info.shards.slice(0, shard).reduce((sum, { samples }) => sum + samples, 0),
  );
  const labels = (await Promise.all(shards.map((shard) => shard.read('labels')))).flatMap(({ data }) => [
    ...(data as Int32Array),
  ]);
  const half = info.latentShape[0] * info.latentShape[1] * info.latentShape[2] * 2;
  const whole = await readWhole(shards);
  const rowOf = async (shard: number, row: number) => {
    const bits = whole?.[shard];
    if (bits) return bits.subarray(row * 2 * half, (row + 1) * 2 * half);
    return (await shards[shard].readRows('moments', row, row + 1)).data as Uint16Array;
  };
  return {
    ...info,
    length: labels.length,
    labelOf: (index) => labels[index],
    async read(index, mirror) {
      const shard = starts.findLastIndex((start) => start <= index);
      const row = await rowOf(shard, index - starts[shard]);
      return mirror ? row.subarray(half) : row.subarray(0, half);
    },
    async close() {
      for (const shard of shards) await shard.close();
    },
  };
}

const largestInMemory = 2 ** 30;

/** A cache of up to a gigabyte is read once and kept; a larger one is read row by row. */
async function readWhole(shards: readonly Awaited<ReturnType<typeof openSafetensors>>[]) {
  const bytes = shards.reduce((sum, { tensors }) => sum + tensors.moments.byteLength, 0);
  if (bytes > largestInMemory) return undefined;
  return Promise.all(shards.map(async (shard) => (await shard.read('moments')).data as Uint16Array));
}
