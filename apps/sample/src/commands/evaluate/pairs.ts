import { join } from 'node:path';
import { fixed, textTable, UsageError } from '@tb/command-line';
import { assertNotEmpty, decodeImage, describeListing, listImages } from '@tb/images';
import { printable, workAhead } from '@tb/io';
import { imageSimilarity } from '../../images.js';

type Pair = { name: string; psnr: number; ssim: number };

export type PairReport = {
  pictures: Pair[];
  /** Mean over the images; equal images count as 100 dB. */
  mean: { psnr: number; ssim: number };
};

/** PSNR of equal images is infinite; one of them must not make the mean infinite. */
const largestPsnr = 100;

export type PairOptions = {
  maxPixels?: number;
  /** Receives a line for each folder: how many images it has, and what was left out. */
  onFound: (line: string) => void;
};

/**
 * Compares the images of two folders that have the same path below them, whatever their formats.
 *
 * @throws UsageError when a folder cannot be read, the names do not match, or two images of a folder have one name
 * @throws ImageError when an image cannot be read
 */
export async function comparePairs(
  folder: string,
  reference: string,
  { maxPixels, onFound }: PairOptions,
): Promise<PairReport> {
  const [ours, theirs] = [await listByName(folder, onFound), await listByName(reference, onFound)];
  const alone =
    [...ours.keys()].find((name) => !theirs.has(name)) ?? [...theirs.keys()].find((name) => !ours.has(name));
  if (alone !== undefined)
    throw new UsageError(
      `${folder} and ${reference} must hold images of the same names; only one has ${printable(alone)}`,
    );
  const pairs: Pair[] = [];
  const named = [...ours].sort(([a], [b]) => (a < b ? -1 : 1));
  const decode = async ([name, file]: (typeof named)[number]) => ({
    name,
    a: await decodeImage(join(folder, file), { maxPixels }),
    b: await decodeImage(join(reference, theirs.get(name) ?? file), { maxPixels }),
  });
  for await (const { name, a, b } of workAhead(named, decode, pairsAtOnce)) {
    if (a.width !== b.width || a.height !== b.height)
      throw new UsageError(
        `${name} must have the same size in both folders, got ${a.width} × ${a.height} and ${b.width} × ${b.height}`,
      );
    pairs.push({ name, ...imageSimilarity(a, b) });
  }
  const mean = (value: (pair: Pair) => number) => pairs.reduce((sum, pair) => sum + value(pair), 0) / pairs.length;
  return {
    pictures: pairs,
    mean: { psnr: mean(({ psnr }) => Math.min(psnr, largestPsnr)), ssim: mean(({ ssim }) => ssim) },
  };
}

/** Pairs that are decoded at once. */
const pairsAtOnce = 4;

const mostLines = 50;

/** The report as a table; of many images only the mean. */
export function pairsText({ pictures: pairs, mean }: PairReport): string {
  const shown = pairs.length > mostLines ? [] : pairs;
  const rows = [...shown, { name: `mean of ${pairs.length}`, ...mean }];
  return textTable(
    ['image', 'PSNR dB', 'SSIM'],
    rows.map(({ name, psnr, ssim }) => [name, fixed(psnr, 2), fixed(ssim, 4)]),
  );
}

/** Files by their path without its ending, in one Unicode form. */
async function listByName(folder: string, onFound: (line: string) => void): Promise<Map<string, string>> {
  const listing = await listImages(folder);
  onFound(printable(`${folder}: ${describeListing(listing)}`));
  assertNotEmpty(folder, listing);
  const files = new Map<string, string>();
  for (const file of listing.files) {
    const name = file.replace(/\.[^.]+$/, '').normalize('NFC');
    const other = files.get(name);
    if (other !== undefined)
      throw new UsageError(
        `${printable(folder)} has two images of one name, ${printable(other)} and ${printable(file)}: remove or rename one of them`,
      );
    files.set(name, file);
  }
  return files;
}
