// Shards get their names only when they are complete, and state in their metadata what they were made from, how far they
// reach, and a hash of their content. So an interrupted cache resumes after its last intact shard; it is a cache once its
// manifest is there.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  assertContentHash,
  fileSystemError,
  fromFloat32,
  type HostTensor,
  lockFolder,
  makeFolders,
  readSafetensors,
  withContentHash,
  workAhead,
  writeFileAtomic,
  writeSafetensors,
} from '@tb/io';
import { writeManifest } from '../run-folder/manifest.js';
import {
  assertLabels,
  assertShard,
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
  samplesFrom(place: number): AsyncIterable<CacheSample>;
};

export type CacheParts = { training: CachePart; heldOut?: CachePart };

export type CacheOptions = {
  samplesPerShard: number;
  /** Receives a line for each shard of an interrupted cache that cannot be kept. */
  onReplaced?: (line: string) => void;
};

/**
 * Writes a cache, or resumes one that was interrupted. Samples that came before an error are kept for the next time.
 *
 * @returns the number of samples of each part
 * @throws FolderInUseError when another process writes it; Error when the folder cannot be written, and what `samplesFrom`
 *   throws
 */
export async function writeLatentCache(
  folder: string,
  info: LatentCacheInfo,
  parts: CacheParts,
  options: CacheOptions,
): Promise<{ training: number; heldOut: number }> {
  await makeFolders(folder);
  const leave = await lockFolder(folder);
  try {
    return await writeParts(folder, info, parts, options);
  } finally {
    await leave();
  }
}

async function writeParts(
  folder: string,
  info: LatentCacheInfo,
  { training, heldOut }: CacheParts,
  options: CacheOptions,
): Promise<{ training: number; heldOut: number }> {
  const write = (name: string, part: CachePart) => writePart({ folder, name, info, ...options }, part);
  const heldOutShards = heldOut && (await write('held-out', heldOut));
  const shards = await write('latents', training);
  const index: LatentCacheIndex = { ...info, shards, ...(heldOutShards && { heldOutShards }) };
  const files = [...shards, ...(heldOutShards ?? [])].map(({ file }) => file);
  await removeOtherShards(folder, new Set(files));
  for (const file of files) await readShard(join(folder, file), info); // the manifest must not vouch for a damaged one
  await writeFileAtomic(join(folder, indexFile), `${JSON.stringify(index, null, 2)}\n`);
  await writeManifest(folder, cacheFormat, [indexFile, ...files]);
  return { training: countSamples(shards), heldOut: countSamples(heldOutShards ?? []) };
}

const countSamples = (shards: readonly LatentShard[]) => shards.reduce((sum, { samples }) => sum + samples, 0);

type PartOptions = CacheOptions & { folder: string; name: string; info: LatentCacheInfo };

async function writePart(options: PartOptions, { origin, samplesFrom }: CachePart): Promise<LatentShard[]> {
  const { folder, name, info, samplesPerShard } = options;
  const { shards, place } = await listIntactShards(options, origin);
  const first = shards.length;
  const write = async ({ samples, number }: { samples: StoredSample[]; number: number }): Promise<LatentShard> => {
    const file = shardName(name, first + number);
    const tensors = packShard(samples, info.latentShape);
    const metadata = withContentHash(tensors, { origin, next: String(samples.at(-1)!.place + 1) });
    await writeSafetensors(join(folder, file), tensors, { metadata });
    return { file, samples: samples.length };
  };
  const batches = groupSamples(samplesFrom(place), samplesPerShard);
  for await (const shard of workAhead(batches, write, 1)) shards.push(shard); // the next one is gathered meanwhile
  return shards;
}

/** A sample as it is stored, in half the memory. */
type StoredSample = Omit<CacheSample, 'moments'> & { moments: Uint16Array };

/** Groups samples into shards. Those that came before an error are handed out before it is thrown. */
async function* groupSamples(samples: AsyncIterable<CacheSample>, size: number) {
  let waiting: StoredSample[] = [];
  let number = 0;
  const group = () => {
    const full = { samples: waiting, number: number++ };
    waiting = [];
    return full;
  };
  let failure: { error: unknown } | undefined;
  try {
    for await (const { moments, ...sample } of samples) {
      waiting.push({ ...sample, moments: fromFloat32(moments, 'F16') as Uint16Array });
      if (waiting.length === size) yield group();
    }
  } catch (error) {
    failure = { error };
  }
  if (waiting.length > 0) yield group();
  if (failure) throw failure.error;
}

const shardName = (name: string, shard: number) => `${name}-${String(shard).padStart(5, '0')}.safetensors`;

/** Finds the shards that an interrupted run left, and the place of the first missing sample. */
async function listIntactShards({ folder, name, info, onReplaced }: PartOptions, origin: string) {
  const shards: LatentShard[] = [];
  let place = 0;
  for (;;) {
    const file = shardName(name, shards.length);
    const path = join(folder, file);
    try {
      const shard = await readShard(path, info);
      if (shard.origin !== origin) {
        onReplaced?.(`${path} is of other images, settings or another autoencoder: it is made again`);
        return { shards, place };
      }
      if (!(shard.next > place)) throw new Error(`${path} ends with image ${shard.next}, before it begins`);
      shards.push({ file, samples: shard.samples });
      place = shard.next;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        onReplaced?.(`${(error as Error).message}: it is made again, with those after it`);
      return { shards, place };
    }
  }
}

/** Reads a shard that is not yet in a manifest. @throws FileFormatError when it is damaged */
async function readShard(path: string, { latentShape, classNames }: LatentCacheInfo) {
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

/** Removes what an interrupted cache of other settings left in the folder. */
async function removeOtherShards(folder: string, files: ReadonlySet<string>): Promise<void> {
  const others = (await readdir(folder)).filter((file) => /^(latents|held-out)-\d{5}\.safetensors$/.test(file));
  for (const file of others) if (!files.has(file)) await rm(join(folder, file));
}
