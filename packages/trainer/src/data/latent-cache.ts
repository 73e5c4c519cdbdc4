// A latent cache is a folder of safetensors shards, `cache.json` that describes them, and a manifest with a SHA-256 per
// file, written last. Each sample holds the autoencoder's moments of an image and of its mirror image.
import { join } from 'node:path';
import { FileFormatError, jsonShape, openSafetensors, readJson, type SafetensorsFile } from '@tb/io';
import { findDamage, readManifest } from '../run-folder/manifest.js';

// n = samples of a shard, h, w, C = height, width and channels of a latent

/** What the latents of a cache were made from. */
export type LatentCacheInfo = {
  classNames: string[];
  /** Side of the images in pixels. */
  imageSize: number;
  /** Height, width, channels. */
  latentShape: [number, number, number];
  /** A latent times this has about unit variance. */
  latentScale: number;
  /** SHA-256 of the autoencoder's weights. */
  vaeSha256: string;
};

/** A file of samples: `moments` float16 [n, 2, h, w, 2C] of images and their mirror images, `labels` int32 [n]. */
export type LatentShard = { file: string; samples: number };

/** What `cache.json` holds. */
export type LatentCacheIndex = LatentCacheInfo & {
  shards: LatentShard[];
  /** Images that training does not see; absent in caches made without any. */
  heldOutShards?: LatentShard[];
};

/** A set of samples, drawn from by index. */
export type LatentSamples = {
  readonly length: number;
  labelOf(index: number): number;
  /** Moments [h, w, 2C] of an image or of its mirror image, as float16 bits. */
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

/** Numbers in the moments [h, w, 2C] of one image. */
export const momentsLength = ([height, width, channels]: LatentCacheInfo['latentShape']) =>
  height * width * 2 * channels;

/**
 * Opens a cache after checking every file's hash.
 *
 * @throws Error saying what is wrong with which file; nothing is left open then
 */
export async function openLatentCache(folder: string): Promise<LatentCache> {
  const open: SafetensorsFile[] = [];
  try {
    const index = await readIndex(folder);
    const samples = await openShards(folder, index.shards, index, open);
    const heldOut = index.heldOutShards && (await openShards(folder, index.heldOutShards, index, open));
    return { ...index, ...samples, heldOut, close: () => closeAll(open) };
  } catch (error) {
    await closeAll(open);
    throw new Error(`the latent cache cannot be used: ${(error as Error).message}; make it with tb-train cache`, {
      cause: error,
    });
  }
}

async function closeAll(files: readonly SafetensorsFile[]): Promise<void> {
  for (const file of files) await file.close();
}

const { count, list, number, object, optional, passing, text } = jsonShape;
const positive = passing(count, 'a positive integer', (value) => value > 0);
const shards = list(object({ file: text, samples: positive }));

const indexShape = object({
  classNames: passing(list(text), 'at least one name', (names) => names.length > 0),
  imageSize: positive,
  latentShape: passing(list(positive), 'height, width and channels', (shape) => shape.length === 3),
  latentScale: passing(number, 'a positive number', (scale) => scale > 0),
  vaeSha256: text,
  shards: passing(shards, 'at least one file', (files) => files.length > 0),
  heldOutShards: optional(shards),
});

async function readIndex(folder: string): Promise<LatentCacheIndex> {
  const damage = await findDamage(folder, cacheFormat, [indexFile]);
  if (damage !== undefined) throw new Error(damage);
  const path = join(folder, indexFile);
  const { heldOutShards, latentShape, ...index } = await readJson(path, indexShape);
  const { files } = await readManifest(folder, cacheFormat);
  const unlisted = [...index.shards, ...(heldOutShards ?? [])].find(({ file }) => !Object.hasOwn(files, file));
  if (unlisted) throw new FileFormatError(path, undefined, `${unlisted.file} is not in the manifest of the cache`);
  return {
    ...index,
    latentShape: latentShape as LatentCacheInfo['latentShape'],
    ...(heldOutShards && { heldOutShards }),
  };
}

/** @param open - gets the files as they are opened: they must be closed, also if this throws */
async function openShards(
  folder: string,
  shards: readonly LatentShard[],
  info: LatentCacheInfo,
  open: SafetensorsFile[],
): Promise<LatentSamples> {
  const files: SafetensorsFile[] = [];
  const labels: Int32Array[] = [];
  for (const { file: name, samples } of shards) {
    const path = join(folder, name);
    const file = await openSafetensors(path);
    open.push(file);
    files.push(file);
    assertShard(path, file.tensors, info.latentShape, samples);
    labels.push((await file.read('labels')).data as Int32Array);
    assertLabels(path, labels[labels.length - 1], info.classNames.length);
  }
  return samplesOf(files, labels, momentsLength(info.latentShape));
}

type Described = Readonly<Record<string, { dtype: string; shape: readonly number[] } | undefined>>;

/** @throws FileFormatError when a shard does not hold `samples` samples of that shape */
export function assertShard(
  path: string,
  tensors: Described,
  [height, width, channels]: LatentCacheInfo['latentShape'],
  samples: number,
): void {
  const expected = {
    moments: `F16 [${[samples, 2, height, width, 2 * channels].join(', ')}]`,
    labels: `I32 [${samples}]`,
  };
  for (const [name, description] of Object.entries(expected)) {
    const tensor = tensors[name];
    const found = tensor ? `${tensor.dtype} [${tensor.shape.join(', ')}]` : 'none';
    if (found !== description)
      throw new FileFormatError(path, undefined, `${name} must be ${description}, got ${found}`);
  }
}

/** @throws FileFormatError when a label is not that of a class */
export function assertLabels(path: string, labels: Int32Array, classes: number): void {
  const wrong = labels.find((label) => label < 0 || label >= classes);
  if (wrong !== undefined)
    throw new FileFormatError(path, undefined, `labels must be from 0 to ${classes - 1}, got ${wrong}`);
}

/** @param labels - of each file */
async function samplesOf(
  files: readonly SafetensorsFile[],
  labels: readonly Int32Array[],
  length: number,
): Promise<LatentSamples> {
  const starts: number[] = [];
  let total = 0;
  for (const { length: samples } of labels) {
    starts.push(total);
    total += samples;
  }
  const shardOf = (index: number) => starts.findLastIndex((start) => start <= index);
  const moments = await readAll(files);
  const rowOf = async (shard: number, row: number) => {
    if (moments) return moments[shard].subarray(row * 2 * length, (row + 1) * 2 * length);
    return (await files[shard].readRows('moments', row, row + 1)).data as Uint16Array;
  };
  return {
    length: total,
    labelOf(index) {
      const shard = shardOf(index);
      return labels[shard][index - starts[shard]];
    },
    async read(index, mirror) {
      const shard = shardOf(index);
      const row = await rowOf(shard, index - starts[shard]);
      return mirror ? row.subarray(length) : row.subarray(0, length);
    },
  };
}

const largestInMemory = 2 ** 30;

/** Samples of up to a gigabyte are read once and kept; more are read row by row. */
async function readAll(files: readonly SafetensorsFile[]): Promise<Uint16Array[] | undefined> {
  const bytes = files.reduce((sum, { tensors }) => sum + tensors.moments.byteLength, 0);
  if (bytes > largestInMemory) return undefined;
  const moments: Uint16Array[] = [];
  for (const file of files) moments.push((await file.read('moments')).data as Uint16Array);
  return moments;
}
