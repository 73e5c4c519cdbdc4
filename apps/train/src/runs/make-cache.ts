import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { listenForStop, prepareFolder, UsageError, withDefaults } from '@tb/command-line';
import { startEngine } from '@tb/command-line/compute';
import {
  type CachePart,
  createDecodePool,
  type ImageSource,
  type LatentCacheInfo,
  type LoadedVae,
  loadVaeFile,
  writeLatentCache,
} from '@tb/trainer';
import { encodePictures } from '../data/encode-pictures.js';
import { latentSize } from '../data/latent-size.js';
import { firstPictures, openData } from '../data/open-data.js';
import { assertPicturesFit } from '../options/conflicts.js';
import { cacheDefaults } from '../options/defaults.js';
import { readConfig } from '../options/read-config.js';
import { type CacheValues, cacheOptions } from '../options/tables.js';

/** `tb-train cache` with the flags that were given. A signal ends it between two batches, and keeps what is encoded. */
export async function makeCache(flags: CacheValues): Promise<void> {
  const file = flags.config === undefined ? {} : await readConfig(cacheOptions, flags.config, 'cache');
  const values = withDefaults(cacheDefaults, file, flags);
  assertPicturesFit(values, [file, flags]);
  const { out, batch, badLimit, validationImages } = values;
  await prepareCacheFolder(out);
  const { training, validation } = await openData(values);
  await startEngine(values);
  const vae = await loadVaeFile(values.vae);
  const pool = createDecodePool(values.threads);
  const stop = listenForStop('stopping after this batch; once more ends at once');
  const partOf = (source: ImageSource): CachePart => ({
    origin: originOf(source, vae),
    samplesFrom: (first) => encodePictures(source, vae, { pool, batch, badLimit, signal: stop.signal }, first),
  });
  const heldOut = validation && partOf(firstPictures(validation, validationImages));
  try {
    const parts = { training: partOf(training), heldOut };
    const counts = await writeLatentCache(out, infoOf(training, vae), parts, values.samplesPerShard);
    const kept = counts.heldOut > 0 ? `, and ${counts.heldOut} to validate on` : '';
    console.error(`${counts.training} pictures and their mirror images in ${out}${kept}`);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    console.error(`the same command goes on with what is in ${out}`);
    process.exitCode = stop.exitCode();
  } finally {
    stop.close();
    await pool.close();
  }
}

async function prepareCacheFolder(out: string): Promise<void> {
  await prepareFolder('--out', out);
  if (existsSync(join(out, 'manifest.json')))
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

/** The SHA-256 of everything that decides the samples: which pictures, how they are cut, and what encodes them. */
function originOf(source: ImageSource, vae: LoadedVae): string {
  const hash = createHash('sha256').update(JSON.stringify([vae.sha256, source.classNames]));
  for (let index = 0; index < source.length; index++) {
    const { path, size, crop } = source.requestOf(index, 0);
    hash.update(JSON.stringify([path, size, crop]));
  }
  return hash.digest('hex');
}
