import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import type { SampleBatch, SampleSource } from './sample-source.js';

const LOSSLESS = new Set(['.png', '.bmp', '.tif', '.tiff']);
const LOSSY = new Set(['.jpg', '.jpeg', '.webp', '.avif']);

export type SampleFolderOptions = {
  /** Accept JPEG and other lossy files. Their artefacts change the FID; right for a reference, wrong for samples. */
  readonly allowLossy?: boolean;
};

/**
 * All images below a folder, in the order of their paths. Greyscale, palette, 16-bit and CMYK images become 8-bit RGB,
 * transparency is laid on black, and EXIF orientation is applied.
 *
 * @throws Error if the folder does not exist, holds no images, or holds lossy ones that were not allowed
 */
export async function openSampleFolder(
  folder: string,
  { allowLossy = false }: SampleFolderOptions = {},
): Promise<SampleSource> {
  const files = await listImages(folder);
  if (files.length === 0) throw new Error(`openSampleFolder: ${folder} holds no images (PNG, JPEG, WebP, TIFF, BMP)`);
  const lossy = files.filter((file) => LOSSY.has(extname(file).toLowerCase()));
  if (lossy.length > 0 && !allowLossy) {
    throw new Error(
      `openSampleFolder: ${folder} holds ${lossy.length} lossy images (the first is ${lossy[0]}), whose artefacts change ` +
        'the score. Save samples as PNG, or allow them with --allow-lossy.',
    );
  }
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\0${(await stat(join(folder, file))).size}\0`);
  return {
    name: folder,
    count: files.length,
    fingerprint: hash.digest('hex'),
    settings: await readSettings(join(folder, files[0])),
    batches: (size, from = 0) => readBatches(folder, files, size, from),
  };
}

async function listImages(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'does not exist' : `cannot be read (${error.code})`;
    throw new Error(`openSampleFolder: the folder ${folder} ${reason}`);
  });
  const known = (file: string) => LOSSLESS.has(file) || LOSSY.has(file);
  return entries.filter((file) => known(extname(file).toLowerCase())).sort();
}

/** The settings that `tb-sample` writes into its pictures: a PNG text chunk named "tokenbridge" that holds JSON. */
async function readSettings(file: string): Promise<Record<string, unknown> | undefined> {
  const { comments = [] } = await sharp(file).metadata();
  const text = comments.find(({ keyword }) => keyword === 'tokenbridge')?.text;
  try {
    const settings: unknown = text === undefined ? undefined : JSON.parse(text);
    return typeof settings === 'object' && settings !== null ? { ...settings } : undefined;
  } catch {
    return undefined; // somebody else's text: the image itself is fine
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
    const pipeline = sharp(file).rotate().toColourspace('srgb').flatten();
    const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.channels === 3) return { pixels: data, height: info.height, width: info.width };
    const pixels = new Uint8Array(info.width * info.height * 3); // greyscale
    for (let i = 0; i < pixels.length; i++) pixels[i] = data[Math.floor(i / 3) * info.channels];
    return { pixels, height: info.height, width: info.width };
  } catch (error) {
    throw new Error(`openSampleFolder: ${file} cannot be decoded: ${(error as Error).message}`);
  }
}
