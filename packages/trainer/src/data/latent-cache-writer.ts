// Shards get their names only when they are whole, and say in their metadata what they were made from and how far they
// reach. So an interrupted cache goes on behind its last shard; it is a cache once its manifest is there.
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fromFloat32, type HostTensor, openSafetensors, writeFileAtomic, writeSafetensors } from '@tb/io';
import { writeManifest } from '../run-folder/manifest.js';
import {
  cacheFormat,
  indexFile,
  type LatentCacheIndex,
  type LatentCacheInfo,
  type LatentShard,
  momentsLength,
} from './latent-cache.js';

// h, w, C = height, width and channels of a latent

/** One sample to store. */
export type CacheSample = {
  /** Of the picture and its mirror image: mean and log-variance [2, h, w, 2C]. */
  moments: Float32Array;
  label: number;
  /** Place of the picture in its source, from 0. */
  place: number;
};

/** Samples to store, in the order of their places. */
export type CachePart = {
  /** Names everything that decides the samples. Shards of another origin are made anew. */
  origin: string;
  samplesFrom(place: number): AsyncIterable<CacheSample>;
};

export type CacheParts = { training: CachePart; heldOut?: CachePart };

/**
 * Writes a cache, or goes on with one that was interrupted. Samples that came before an error are kept for the next time.
 *
 * @returns the number of samples of each part
 * @throws Error when the folder cannot be written, and what `samplesFrom` throws
 */
export async function writeLatentCache(
  folder: string,
  info: LatentCacheInfo,
  { training, heldOut }: CacheParts,
  samplesPerShard: number,
): Promise<{ training: number; heldOut: number }> {
  await mkdir(folder, { recursive: true });
  const write = (name: string, part: CachePart) => writePart(folder, name, part, info.latentShape, samplesPerShard);
  const heldOutShards = heldOut && (await write('held-out', heldOut));
  const shards = await write('latents', training);
  const index: LatentCacheIndex = { ...info, shards, ...(heldOutShards && { heldOutShards }) };
  const files = [...shards, ...(heldOutShards ?? [])].map(({ file }) => file);
  await removeOtherShards(folder, new Set(files));
  await writeFileAtomic(join(folder, indexFile), `${JSON.stringify(index, null, 2)}\n`);
  await writeManifest(folder, cacheFormat, [indexFile, ...files]);
  return { training: countSamples(shards), heldOut: countSamples(heldOutShards ?? []) };
}

const countSamples = (shards: readonly LatentShard[]) => shards.reduce((sum, { samples }) => sum + samples, 0);

async function writePart(
  folder: string,
  name: string,
  { origin, samplesFrom }: CachePart,
  latentShape: LatentCacheInfo['latentShape'],
  samplesPerShard: number,
): Promise<LatentShard[]> {
  const { shards, place } = await listWholeShards(folder, name, origin);
  let waiting: CacheSample[] = [];
  const flush = async () => {
    const samples = waiting;
    waiting = [];
    if (samples.length === 0) return;
    const file = shardName(name, shards.length);
    const metadata = { origin, next: String(samples.at(-1)!.place + 1) };
    await writeSafetensors(join(folder, file), packShard(samples, latentShape), { metadata });
    shards.push({ file, samples: samples.length });
  };
  try {
    for await (const sample of samplesFrom(place)) {
      waiting.push(sample);
      if (waiting.length === samplesPerShard) await flush();
    }
  } finally {
    await flush();
  }
  return shards;
}

const shardName = (name: string, shard: number) => `${name}-${String(shard).padStart(5, '0')}.safetensors`;

/** The shards that an interrupted run left, and the place of the first sample that is missing. */
async function listWholeShards(folder: string, name: string, origin: string) {
  const shards: LatentShard[] = [];
  let place = 0;
  for (;;) {
    const file = shardName(name, shards.length);
    const found = await openSafetensors(join(folder, file)).catch(() => undefined);
    await found?.close();
    if (found?.metadata.origin !== origin) return { shards, place };
    shards.push({ file, samples: found.tensors.labels.shape[0] });
    place = Number(found.metadata.next);
  }
}

function packShard(samples: readonly CacheSample[], shape: LatentCacheInfo['latentShape']): Record<string, HostTensor> {
  const [height, width, channels] = shape;
  const length = 2 * momentsLength(shape);
  const moments = new Float32Array(samples.length * length);
  for (const [row, sample] of samples.entries()) moments.set(sample.moments, row * length);
  return {
    moments: {
      dtype: 'F16',
      shape: [samples.length, 2, height, width, 2 * channels],
      data: fromFloat32(moments, 'F16'),
    },
    labels: { dtype: 'I32', shape: [samples.length], data: Int32Array.from(samples, ({ label }) => label) },
  };
}

/** Removes what an interrupted cache of other settings left in the folder. */
async function removeOtherShards(folder: string, files: ReadonlySet<string>): Promise<void> {
  const others = (await readdir(folder)).filter((file) => /^(latents|held-out)-\d{5}\.safetensors$/.test(file));
  for (const file of others) if (!files.has(file)) await rm(join(folder, file));
}
