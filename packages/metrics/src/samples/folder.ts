import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { printable } from '@tb/io';
import sharp from 'sharp';
import type { SampleBatch, SampleSource } from './sample-source.js';

const LOSSLESS = new Set(['.png', '.tif', '.tiff']);
const LOSSY = new Set(['.jpg', '.jpeg', '.webp', '.avif']);
/** Kinds of images that nothing here decodes: left out in silence, they would change the count. */
const UNREADABLE = new Set(['.bmp', '.gif', '.pgm', '.ppm', '.jp2', '.heic']);

export type SampleFolderOptions = {
  /** Accept JPEG and other lossy files. Their artefacts change the FID; right for a reference, wrong for samples. */
  readonly allowLossy?: boolean;
};

/**
 * All images below a folder, in the order of their paths. Greyscale, palette, 16-bit and CMYK images become 8-bit RGB,
 * an alpha channel is dropped as the reference evaluators do, and EXIF orientation is applied.
 *
 * @throws Error if the folder does not exist, holds no images, some that cannot be decoded, or lossy ones that were not
 *   allowed
 */
export async function openSampleFolder(
  folder: string,
  { allowLossy = false }: SampleFolderOptions = {},
): Promise<SampleSource> {
  const files = await listImages(folder);
  const ofKinds = (kinds: Set<string>) => files.filter((file) => kinds.has(extension(file)));
  if (files.length === 0) throw new Error(`openSampleFolder: ${folder} holds no images (PNG, TIFF, JPEG, WebP, AVIF)`);
  const unreadable = ofKinds(UNREADABLE);
  if (unreadable.length > 0) {
    throw new Error(
      `openSampleFolder: ${folder} holds ${counted(unreadable)} of a kind that is not read. Convert them to PNG.`,
    );
  }
  const lossy = ofKinds(LOSSY);
  if (lossy.length > 0 && !allowLossy) {
    throw new Error(
      `openSampleFolder: ${folder} holds ${counted(lossy)} of a lossy kind, whose artefacts change the score. Save ` +
        'samples as PNG, or allow them with --allow-lossy.',
    );
  }
  return {
    name: folder,
    count: files.length,
    fingerprint: await fingerprintOf(folder, files),
    settings: await commonSettings(folder, files),
    batches: (size, from = 0) => readBatches(folder, files, size, from),
  };
}

async function listImages(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'does not exist' : `cannot be read (${error.code})`;
    throw new Error(`openSampleFolder: the folder ${folder} ${reason}`);
  });
  const kinds = [LOSSLESS, LOSSY, UNREADABLE];
  return entries.filter((file) => kinds.some((kind) => kind.has(extension(file)))).sort();
}

const extension = (file: string) => extname(file).toLowerCase();

const counted = (files: readonly string[]) =>
  files.length === 1 ? `an image (${printable(files[0])})` : `${files.length} images (${printable(files[0])}, …)`;

/** SHA-256 over names, sizes and times of change. */
async function fingerprintOf(folder: string, files: readonly string[]): Promise<string> {
  const states = await Promise.all(files.map((file) => stat(join(folder, file))));
  const hash = createHash('sha256');
  for (const [i, { size, mtimeMs }] of states.entries()) hash.update(`${files[i]}\0${size}\0${mtimeMs}\0`);
  return hash.digest('hex');
}

/** So many pictures are asked for their settings. */
const ASKED = 50;

/** The settings in which pictures from all over the folder agree: not their seeds, but how they were guided. */
async function commonSettings(folder: string, files: readonly string[]): Promise<Record<string, unknown> | undefined> {
  const step = Math.max(1, Math.floor(files.length / ASKED));
  const asked = files.filter((_, i) => i % step === 0);
  const [first, ...others] = await Promise.all(asked.map((file) => readSettings(join(folder, file))));
  if (first === undefined) return undefined;
  const agreed = ([key, value]: [string, unknown]) =>
    others.every((settings) => JSON.stringify(settings?.[key]) === JSON.stringify(value));
  return Object.fromEntries(Object.entries(first).filter(agreed));
}

/** The settings that `tb-sample` writes into its pictures: a PNG text chunk named "tokenbridge" that holds JSON. */
async function readSettings(file: string): Promise<Record<string, unknown> | undefined> {
  try {
    const { comments = [] } = await sharp(file).metadata();
    const text = comments.find(({ keyword }) => keyword === 'tokenbridge')?.text;
    const settings: unknown = text === undefined ? undefined : JSON.parse(text);
    return typeof settings === 'object' && settings !== null ? { ...settings } : undefined;
  } catch {
    return undefined; // somebody else's text, or no image: decoding will say so
  }
}

async function* readBatches(folder: string, files: string[], size: number, from: number): AsyncGenerator<SampleBatch> {
  for (let start = from; start < files.length; start += size) {
    const images = await Promise.all(files.slice(start, start + size).map((file) => decode(join(folder, file))));
    // A batch has one size: cut where it changes.
    for (let first = 0, last = 1; first < images.length; last++) {
      const { height, width } = images[first];
      if (last < images.length && images[last].height === height && images[last].width === width) continue;
      const run = images.slice(first, last);
      yield { pixels: Buffer.concat(run.map(({ pixels }) => pixels)), count: run.length, height, width };
      first = last;
    }
  }
}

async function decode(file: string): Promise<{ pixels: Uint8Array; height: number; width: number }> {
  try {
    const pipeline = sharp(file).rotate().toColourspace('srgb').removeAlpha();
    const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return { pixels: data, height: info.height, width: info.width };
  } catch (error) {
    throw new Error(`openSampleFolder: ${printable(`${file} cannot be decoded: ${(error as Error).message}`)}`);
  }
}
