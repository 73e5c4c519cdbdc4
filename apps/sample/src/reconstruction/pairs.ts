import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '@tb/command-line';
import { decodeImage, type Pixels } from '@tb/images';
import { printable } from '@tb/io';
import { fixed, textTable } from '../text-table.js';
import { pictureSimilarity } from './compare.js';

export type PairReport = {
  pictures: { name: string; psnr: number; ssim: number }[];
  /** Mean over the pictures; equal pictures count as 100 dB. */
  mean: { psnr: number; ssim: number };
};

const isPicture = /\.(png|jpe?g|webp)$/i;
/** PSNR of equal pictures is infinite; one of them must not make the mean infinite. */
const largestPsnr = 100;

/**
 * Compares the pictures of two folders that have the same path below them, whatever their formats.
 *
 * @throws UsageError when a folder cannot be read or the names do not match
 */
export async function comparePairs(folder: string, reference: string): Promise<PairReport> {
  const [ours, theirs] = [await listPictures(folder), await listPictures(reference)];
  const names = [...ours.keys()].sort();
  const alone = names.find((name) => !theirs.has(name)) ?? [...theirs.keys()].find((name) => !ours.has(name));
  if (alone !== undefined)
    throw new UsageError(
      `${folder} and ${reference} must hold pictures of the same names; only one has ${printable(alone)}`,
    );
  const pictures: PairReport['pictures'] = [];
  for (const name of names) {
    const a = await readImage(join(folder, ours.get(name)!));
    const b = await readImage(join(reference, theirs.get(name)!));
    if (a.width !== b.width || a.height !== b.height)
      throw new UsageError(
        `${name} must have the same size in both folders, got ${a.width} × ${a.height} and ${b.width} × ${b.height}`,
      );
    pictures.push({ name, ...pictureSimilarity(a, b) });
  }
  const mean = (value: (picture: PairReport['pictures'][number]) => number) =>
    pictures.reduce((sum, picture) => sum + value(picture), 0) / pictures.length;
  return { pictures, mean: { psnr: mean(({ psnr }) => Math.min(psnr, largestPsnr)), ssim: mean(({ ssim }) => ssim) } };
}

const mostLines = 50;

/** The report as a table; of many pictures only the mean. */
export function pairsText({ pictures, mean }: PairReport): string {
  const shown = pictures.length > mostLines ? [] : pictures;
  const rows = [...shown, { name: `mean of ${pictures.length}`, ...mean }];
  return textTable(
    ['picture', 'PSNR dB', 'SSIM'],
    rows.map(({ name, psnr, ssim }) => [name, fixed(psnr, 2), fixed(ssim, 4)]),
  );
}

/** @throws UsageError that names an image which cannot be read */
export async function readImage(path: string): Promise<Pixels> {
  try {
    return await decodeImage(path);
  } catch (error) {
    throw new UsageError(`picture ${path} cannot be read: ${(error as Error).message}`);
  }
}

/** Files by their path without its ending. */
async function listPictures(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(
      `folder ${folder} ${error.code === 'ENOENT' ? 'does not exist' : `cannot be read: ${error.message}`}`,
    );
  });
  const files = entries.filter((file) => isPicture.test(file));
  if (files.length === 0) throw new UsageError(`folder ${folder} holds no pictures (PNG, JPEG, WebP)`);
  return new Map(files.map((file) => [file.replace(isPicture, ''), file]));
}
