import { join, parse } from 'node:path';
import { assertNotEmpty, describeListing, listImages, readImageHeader } from '@tb/images';
import { InputError, printable } from '@tb/io';
import { hostRandom } from '@tb/runtime';
import type { ImageFolderOptions, ImageSource, Square } from './image-source.js';

/** Options of `openPhotographCrops`. */
export type PhotographCropsOptions = ImageFolderOptions & {
  /** Crops of each photograph in one epoch. */
  cropsPerPhotograph: number;
  /** Sides of the crops before scaling, as shares of the photograph's shorter side: [smallest, largest]. */
  scale: readonly [number, number];
  /** Share of each photograph, at its right or lower end, that only validation crops see. */
  heldOut: number;
  part: 'training' | 'validation';
};

type Photograph = { path: string; width: number; height: number };

/**
 * Opens random square crops of a few large photographs, each photograph a class with the name of its file.
 *
 * @throws Error when the folder cannot be read or has no photographs, when two have one name, or one is too small
 */
export async function openPhotographCrops(folder: string, options: PhotographCropsOptions): Promise<ImageSource> {
  const listing = await listImages(folder, { subfolders: false });
  const { files } = listing;
  assertNotEmpty(folder, listing);
  const classNames = files.map((file) => parse(file).name);
  assertUnique(folder, files, classNames);
  const photographs = await Promise.all(files.map((file) => measure(join(folder, file), options.maxPixels)));
  for (const photograph of photographs) assertLargeEnough(photograph, options);
  const { size, seed, flip, part, maxPixels } = options;
  const partNumber = part === 'training' ? 0 : 1;
  return {
    classNames,
    size,
    length: photographs.length * options.cropsPerPhotograph,
    summary: describeListing(listing),
    labelOf: (index) => index % photographs.length,
    requestOf: (index, epoch) => {
      const photograph = photographs[index % photographs.length];
      const random = hostRandom(seed, partNumber, epoch, index);
      const crop = chooseSquare(photograph, options, [random.uniform(), random.uniform(), random.uniform()]);
      return { path: photograph.path, size, crop, mirror: flip && random.uniform() < 0.5, maxPixels };
    },
  };
}

/** Refuses photographs of equal names: they would be classes of equal names. */
function assertUnique(folder: string, files: readonly string[], names: readonly string[]): void {
  const second = names.findIndex((name, index) => names.indexOf(name) < index);
  if (second < 0) return;
  const pair = [files[names.indexOf(names[second])], files[second]].map(printable).join(' and ');
  throw new InputError(
    'openPhotographCrops',
    `${printable(folder)} has two photographs of one name, ${pair}: rename one of them`,
  );
}

async function measure(path: string, maxPixels?: number): Promise<Photograph> {
  const { width, height } = await readImageHeader(path, { maxPixels });
  return { path, width, height };
}

/** Computes the rectangle from which the crops of a part come. The longer side is split, so that crops stay large. */
function regionOf({ width, height }: Photograph, { heldOut, part }: PhotographCropsOptions) {
  const wide = width >= height;
  const long = wide ? width : height;
  const border = Math.round(long * (1 - heldOut));
  const [start, end] = part === 'training' ? [0, border] : [border, long];
  return wide
    ? { left: start, top: 0, width: end - start, height }
    : { left: 0, top: start, width, height: end - start };
}

function assertLargeEnough(photograph: Photograph, options: PhotographCropsOptions): void {
  const { width, height } = regionOf(photograph, options);
  if (Math.min(width, height) >= options.size) return;
  throw new InputError(
    'openPhotographCrops',
    `the ${options.part} part of ${printable(photograph.path)} must be at least ${options.size} pixels wide and high, got ${width}x${height}`,
  );
}

/** Three uniform numbers choose the side, uniform in its logarithm, and the place. */
function chooseSquare(
  photograph: Photograph,
  options: PhotographCropsOptions,
  [u, v, w]: [number, number, number],
): Square {
  const region = regionOf(photograph, options);
  const shorter = Math.min(photograph.width, photograph.height);
  const largest = Math.min(region.width, region.height);
  const [low, high] = options.scale.map((share) => Math.min(Math.max(share * shorter, options.size), largest));
  const side = Math.round(low * (high / low) ** u);
  return {
    left: region.left + Math.floor(v * (region.width - side + 1)),
    top: region.top + Math.floor(w * (region.height - side + 1)),
    side,
  };
}
