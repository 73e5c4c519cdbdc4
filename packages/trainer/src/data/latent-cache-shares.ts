// A latent cache that several processes write. Shard k covers the images from k × samplesPerShard on, as many as a shard
// holds, whichever process writes it. So the files do not depend on the number of processes, and a process that is started
// again, or more or fewer of them, continue with the shards that are missing.
import { join } from 'node:path';
import { openSafetensors } from '@tb/io';
import { type Share, shareRange } from '@tb/runtime';
import type { LatentShard } from './latent-cache.js';
import {
  type CachePart,
  type PartOptions,
  readShard,
  type StoredSample,
  shardName,
  storedSample,
  writeShard,
} from './latent-shard.js';

/** Writes the shards of one process that are not there yet. */
export async function writeShare(
  { share, ...options }: PartOptions & { share: Share },
  part: CachePart,
): Promise<void> {
  const { folder, name, info, samplesPerShard } = options;
  const { start, end } = shareRange(shardCount(part, samplesPerShard), share);
  for (let number = start; number < end; number++) {
    const file = shardName(name, number);
    if ((await findShard(options, part, number)) && (await isIntact(options, number))) continue;
    const { first, next } = rangeOf(part, samplesPerShard, number);
    const samples: StoredSample[] = [];
    for await (const sample of part.samplesFrom(first, next)) samples.push(storedSample(sample));
    const metadata = { origin: part.origin, first: String(first), next: String(next) };
    await writeShard(join(folder, file), file, samples, info, metadata);
  }
}

/** Waits for the shards of all processes. Those in which no image could be read are left out. */
export async function gatherShards(options: PartOptions, part: CachePart): Promise<LatentShard[]> {
  const { name, samplesPerShard, waitForOthers } = options;
  const numbers = Array.from({ length: shardCount(part, samplesPerShard) }, (_, number) => number);
  const found = new Map<number, LatentShard>();
  const missing = async () => {
    for (const number of numbers) {
      if (found.has(number)) continue;
      const samples = await findShard(options, part, number);
      if (samples) found.set(number, { file: shardName(name, number), ...samples });
    }
    return numbers.length - found.size;
  };
  await waitForOthers?.(missing);
  const left = await missing();
  if (left > 0) throw new Error(`gatherShards: ${left} shards of ${name} are missing`);
  return numbers.map((number) => found.get(number)!).filter(({ samples }) => samples > 0);
}

/** The images of a shard: from `first` on, and before `next`. */
function rangeOf({ length }: CachePart, samplesPerShard: number, number: number) {
  const first = number * samplesPerShard;
  return { first, next: Math.min(first + samplesPerShard, length) };
}

const shardCount = ({ length }: CachePart, samplesPerShard: number) => Math.ceil(length / samplesPerShard);

/** Whether the content of a shard is what its hash states. */
const isIntact = ({ folder, name, info }: PartOptions, number: number) =>
  readShard(join(folder, shardName(name, number)), info).then(
    () => true,
    () => false,
  );

/** The samples of a shard that covers the range of its number and is of the same origin; undefined if there is none. */
async function findShard(
  { folder, name, samplesPerShard }: PartOptions,
  part: CachePart,
  number: number,
): Promise<{ samples: number } | undefined> {
  const file = await openSafetensors(join(folder, shardName(name, number))).catch(() => undefined);
  if (!file) return undefined; // missing or damaged: it is made again
  try {
    const { metadata, tensors } = file;
    const { first, next } = rangeOf(part, samplesPerShard, number);
    const isOurs =
      metadata.origin === part.origin && metadata.first === String(first) && metadata.next === String(next);
    return isOurs ? { samples: tensors.labels?.shape[0] ?? 0 } : undefined;
  } finally {
    await file.close();
  }
}
