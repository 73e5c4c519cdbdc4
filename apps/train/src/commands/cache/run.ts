import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Cluster,
  createProgressLine,
  findCluster,
  listenForStop,
  prepareFolder,
  shareOfCluster,
  UsageError,
  waitForShares,
} from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { printable } from '@tb/io';
import {
  type CachePart,
  createDecodePool,
  findVae,
  type ImageSource,
  type LatentCacheInfo,
  type LoadedVae,
  loadVaeFile,
  writeLatentCache,
} from '@tb/trainer';
import { firstImages, latentSize, openData, scaleLatents } from '../../data.js';
import { encodeImages } from './encode-images.js';
import type { CacheValues } from './options.js';

/** `tb-train cache`. A signal ends it between two batches, and keeps what is encoded. */
export async function makeCache(values: CacheValues): Promise<void> {
  const { out, batch, badLimit, threads, validationImages } = values;
  const cluster = findCluster(values);
  const share = shareOfCluster(cluster);
  if (!(await prepareCacheFolder(out, cluster))) return;
  const { training, validation } = await openData({ ...values, flip: false });
  const vaeFile = findVae(values.vae); // what is missing is reported before a backend is loaded
  await startBackend(values);
  const vae = await scaleLatents(await loadVaeFile(vaeFile), training, values);
  const pool = createDecodePool(threads);
  const stop = listenForStop('stopping after this batch; once more ends at once');
  const partOf = (source: ImageSource): CachePart => ({
    origin: originOf(source, vae),
    length: source.length,
    samplesFrom: (first, end) =>
      encodeImages(source, vae, { pool, batch, threads, badLimit, signal: stop.signal }, first, end),
  });
  const heldOut = validation && partOf(firstImages(validation, validationImages));
  try {
    const parts = { training: partOf(training), heldOut };
    const { samplesPerShard } = values;
    const options = {
      samplesPerShard,
      onReplaced: (line: string) => console.error(printable(line)),
      share,
      waitForOthers: (missing: () => Promise<number>) => waitForOthers(missing, stop.signal),
    };
    const counts = await writeLatentCache(out, infoOf(training, vae), parts, options);
    if (!counts) return console.error(`the share of process ${share.index} is in ${out}; process 0 puts all together`);
    const stored = counts.heldOut > 0 ? `, and ${counts.heldOut} to validate on` : '';
    console.error(`${counts.training} images and their mirror images in ${out}${stored}`);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    console.error(`run the same command again to resume; finished images are in ${out}`);
    process.exitCode = stop.exitCode();
  } finally {
    stop.close();
    await pool.close();
  }
}

/** Waits until the other processes have written their shards. */
async function waitForOthers(missing: () => Promise<number>, signal: AbortSignal): Promise<void> {
  const line = createProgressLine();
  const onMissing = (count: number) => line.stage(`waiting for ${count} files of other processes`);
  await waitForShares({ missing, onMissing, signal }).finally(() => line.end());
}

/** @returns whether there is anything to do: a job that was started again may have finished before */
async function prepareCacheFolder(out: string, cluster: Cluster | undefined): Promise<boolean> {
  await prepareFolder('--out', out, shareOfCluster(cluster));
  if (!existsSync(join(out, 'manifest.json'))) return true;
  if (cluster && cluster.incarnation > 0) {
    console.error(`the cache in ${out} was finished by an earlier start of this job`);
    return false;
  }
  throw new UsageError(`--out ${out} holds a cache already: remove it, or choose another folder`);
}

function infoOf({ classNames, size }: ImageSource, vae: LoadedVae): LatentCacheInfo {
  const { height, width, channels } = latentSize(size, vae.config);
  return {
    classNames: [...classNames],
    imageSize: size,
    latentShape: [height, width, channels],
    latentScale: vae.config.latentScale,
    vaeSha256: vae.sha256,
  };
}

/** The SHA-256 of everything that determines the samples: which images, how they are cut, and what encodes them. */
function originOf(source: ImageSource, vae: LoadedVae): string {
  const hash = createHash('sha256').update(JSON.stringify([vae.sha256, source.classNames]));
  for (let index = 0; index < source.length; index++) {
    const { path, size, crop } = source.requestOf(index, 0);
    hash.update(JSON.stringify([path, size, crop]));
  }
  return hash.digest('hex');
}
