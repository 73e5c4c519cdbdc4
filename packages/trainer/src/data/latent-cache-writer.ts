// Shards get their names only when they are complete, and state in their metadata what they were made from, how far they
// reach, and a hash of their content. So an interrupted cache resumes after its last intact shard; it is a cache once its
// manifest is there.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { lockFolder, makeFolders, workAhead, writeFileAtomic } from '@tb/io';
import { oneProcess } from '@tb/runtime';
import { writeManifest } from '../run-folder/manifest.js';
import {
  cacheFormat,
  indexFile,
  type LatentCacheIndex,
  type LatentCacheInfo,
  type LatentShard,
} from './latent-cache.js';
import { gatherShards, writeShare } from './latent-cache-shares.js';
import {
  type CacheOptions,
  type CachePart,
  type CacheSample,
  type PartOptions,
  readShard,
  type StoredSample,
  shardName,
  storedSample,
  writeShard,
} from './latent-shard.js';

export type CacheParts = { training: CachePart; heldOut?: CachePart };

/**
 * Writes a cache, or resumes one that was interrupted. Samples that came before an error are kept for the next time.
 *
 * With a share, this process writes some of the shards, each of which covers a fixed range of images, and process 0 makes a
 * cache of all. Of a shard that was interrupted, nothing is kept.
 *
 * @returns the number of samples of each part; undefined in a process that leaves the rest to process 0
 * @throws FolderInUseError when another process writes it; Error when the folder cannot be written, and what `samplesFrom`
 *   throws
 */
export async function writeLatentCache(
  folder: string,
  info: LatentCacheInfo,
  parts: CacheParts,
  options: CacheOptions,
): Promise<{ training: number; heldOut: number } | undefined> {
  await makeFolders(folder);
  const leave = await lockFolder(folder, folder, options.share);
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
): Promise<{ training: number; heldOut: number } | undefined> {
  const { share = oneProcess } = options;
  const partOf = (name: string): PartOptions => ({ folder, name, info, ...options });
  const isShared = share.count > 1;
  if (isShared) {
    if (heldOut) await writeShare({ ...partOf('held-out'), share }, heldOut);
    await writeShare({ ...partOf('latents'), share }, training);
    if (share.index > 0) return undefined;
  }
  const make = isShared ? gatherShards : writePart;
  const heldOutShards = heldOut && (await make(partOf('held-out'), heldOut));
  const shards = await make(partOf('latents'), training);
  const index: LatentCacheIndex = { ...info, shards, ...(heldOutShards && { heldOutShards }) };
  const files = [...shards, ...(heldOutShards ?? [])].map(({ file }) => file);
  await removeOtherShards(folder, new Set(files));
  for (const file of files) await readShard(join(folder, file), info); // the manifest must not vouch for a damaged one
  await writeFileAtomic(join(folder, indexFile), `${JSON.stringify(index, null, 2)}\n`);
  await writeManifest(folder, cacheFormat, [indexFile, ...files]);
  return { training: countSamples(shards), heldOut: countSamples(heldOutShards ?? []) };
}

const countSamples = (shards: readonly LatentShard[]) => shards.reduce((sum, { samples }) => sum + samples, 0);

async function writePart(options: PartOptions, { origin, samplesFrom }: CachePart): Promise<LatentShard[]> {
  const { folder, name, info, samplesPerShard } = options;
  const { shards, place } = await listIntactShards(options, origin);
  const first = shards.length;
  const write = async ({ samples, number }: { samples: StoredSample[]; number: number }): Promise<LatentShard> => {
    const file = shardName(name, first + number);
    return writeShard(join(folder, file), file, samples, info, { origin, next: String(samples.at(-1)!.place + 1) });
  };
  const batches = groupSamples(samplesFrom(place), samplesPerShard);
  for await (const shard of workAhead(batches, write, 1)) shards.push(shard); // the next one is gathered meanwhile
  return shards;
}

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
    for await (const sample of samples) {
      waiting.push(storedSample(sample));
      if (waiting.length === size) yield group();
    }
  } catch (error) {
    failure = { error };
  }
  if (waiting.length > 0) yield group();
  if (failure) throw failure.error;
}

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

/** Removes what an interrupted cache of other settings left in the folder. */
async function removeOtherShards(folder: string, files: ReadonlySet<string>): Promise<void> {
  const others = (await readdir(folder)).filter((file) => /^(latents|held-out)-\d{5}\.safetensors$/.test(file));
  for (const file of others) if (!files.has(file)) await rm(join(folder, file));
}
