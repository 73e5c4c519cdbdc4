import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  assertNotEmpty,
  decodeImage,
  describeListing,
  formatOfName,
  type ImageFormat,
  isUnreadEnding,
  listImages,
  readImageFormat,
  readPngSettings,
} from '@tb/images';
import { InputError, printable } from '@tb/io';
import type { SampleBatch, SampleSource } from './sample-source.js';

/** Options of `openSampleFolder`. */
export type SampleFolderOptions = {
  /** Accept JPEG and other lossy files. Their artefacts change the FID; right for a reference, wrong for samples. */
  readonly allowLossy?: boolean;
  /** Most pixels that an image may have; see `decodeImage` of @tb/images. */
  readonly maxPixels?: number;
};

/**
 * Opens all images in a folder and its subfolders, in the order of their paths. `listImages` of @tb/images decides what
 * counts as an image, and `decodeImage` how it becomes RGB.
 *
 * @throws Error if the folder cannot be read or holds no images, some that are not images, or lossy ones that were not
 *   allowed
 */
export async function openSampleFolder(folder: string, options: SampleFolderOptions = {}): Promise<SampleSource> {
  const { allowLossy = false, maxPixels } = options;
  const listing = await listImages(folder);
  const { files, leftOut } = listing;
  const unread = Object.keys(leftOut.otherKinds).filter(isUnreadEnding);
  if (unread.length > 0) {
    throw new InputError(
      'openSampleFolder',
      `${printable(folder)} holds images of a kind that is not read (${unread.join(', ')}). Left out, they would change the score: convert them to PNG.`,
    );
  }
  assertNotEmpty(folder, listing);
  const lossy = await lossyFiles(folder, files);
  if (lossy.length > 0 && !allowLossy) {
    throw new InputError(
      'openSampleFolder',
      `${printable(folder)} holds ${counted(lossy)} of a lossy kind, whose artefacts change the score. Save ` +
        'samples as PNG, or allow them with --allow-lossy.',
    );
  }
  return {
    name: folder,
    count: files.length,
    summary: describeListing(listing),
    fingerprint: await fingerprintOf(folder, files),
    settings: await commonSettings(folder, files),
    batches: (size, from = 0) => readBatches(folder, files, size, from, maxPixels),
  };
}

/** A GIF has at most 256 colours, and a WebP may be lossy. */
const lossless: readonly ImageFormat[] = ['png', 'tiff'];
const filesAtOnce = 64;

/** Files that are lossy by their names or by their content. @throws Error for a file whose content is not an image's */
async function lossyFiles(folder: string, files: readonly string[]): Promise<string[]> {
  const lossy: string[] = [];
  for (let start = 0; start < files.length; start += filesAtOnce) {
    const some = files.slice(start, start + filesAtOnce);
    const formats = await Promise.all(some.map((file) => readImageFormat(join(folder, file))));
    for (const [index, file] of some.entries()) {
      if (![formats[index], formatOfName(file)!].every((format) => lossless.includes(format))) lossy.push(file);
    }
  }
  return lossy;
}

const counted = (files: readonly string[]) =>
  files.length === 1 ? `an image (${printable(files[0])})` : `${files.length} images (${printable(files[0])}, …)`;

/** Computes a SHA-256 over names, sizes and times of change. */
async function fingerprintOf(folder: string, files: readonly string[]): Promise<string> {
  const states = await Promise.all(files.map((file) => stat(join(folder, file))));
  const hash = createHash('sha256');
  for (const [i, { size, mtimeMs }] of states.entries()) hash.update(`${files[i]}\0${size}\0${mtimeMs}\0`);
  return hash.digest('hex');
}

/** Number of files whose settings are read. */
const settingsRead = 50;

/** Reads the settings that images from the complete folder share, such as guidance; seeds differ. */
async function commonSettings(folder: string, files: readonly string[]): Promise<Record<string, unknown> | undefined> {
  const step = Math.max(1, Math.floor(files.length / settingsRead));
  const sampled = files.filter((_, i) => i % step === 0);
  const [first, ...others] = await Promise.all(sampled.map((file) => readSettings(join(folder, file))));
  if (first === undefined) return undefined;
  const agreed = ([key, value]: [string, unknown]) =>
    others.every((settings) => JSON.stringify(settings?.[key]) === JSON.stringify(value));
  return Object.fromEntries(Object.entries(first).filter(agreed));
}

/** Reads the settings that `tb-sample` writes into its images. */
async function readSettings(file: string): Promise<Record<string, unknown> | undefined> {
  const isPng = (await readImageFormat(file)) === 'png';
  return isPng ? readPngSettings(await readFile(file)) : undefined;
}

async function* readBatches(
  folder: string,
  files: readonly string[],
  size: number,
  from: number,
  maxPixels?: number,
): AsyncGenerator<SampleBatch> {
  for (let start = from; start < files.length; start += size) {
    const some = files.slice(start, start + size);
    const images = await Promise.all(some.map((file) => decodeImage(join(folder, file), { maxPixels })));
    // A batch has one size: cut where it changes.
    for (let first = 0, last = 1; first < images.length; last++) {
      const { height, width } = images[first];
      if (last < images.length && images[last].height === height && images[last].width === width) continue;
      const run = images.slice(first, last);
      yield { pixels: Buffer.concat(run.map(({ data }) => data)), count: run.length, height, width };
      first = last;
    }
  }
}
