import { join, parse } from 'node:path';
import { imageExtension, imageSize } from '@tb/images';
import { printable } from '@tb/io';
import { hostRandom } from '@tb/runtime';
import { byName, listFolder } from './image-folder.js';
import type { ImageSource } from './image-source.js';
import type { Rectangle } from './read-sample.js';

export type PhotographCropsOptions = {
  /** Side of the square pictures. */
  size: number;
  seed: number;
  /** Mirror every other crop, at random. */
  flip: boolean;
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
 * Random square crops of a few large photographs, each photograph a class of its name.
 *
 * @throws Error when the folder is missing, has no photographs, or one is too small to be cut
 */
export async function openPhotographCrops(folder: string, options: PhotographCropsOptions): Promise<ImageSource> {
  const entries = await listFolder(folder);
  const names = entries.map(({ name }) => name).filter((name) => imageExtension.test(name) && !name.startsWith('.'));
  if (names.length === 0) {
    throw new Error(`openPhotographCrops: ${folder} must hold photographs (JPEG, PNG or WebP), got none`);
  }
  names.sort(byName);
  const photographs = await Promise.all(names.map((name) => measure(join(folder, name))));
  for (const photograph of photographs) assertLargeEnough(photograph, options);
  const { size, seed, flip, part } = options;
  const partNumber = part === 'training' ? 0 : 1;
  return {
    classNames: names.map((name) => parse(name).name),
    size,
    length: photographs.length * options.cropsPerPhotograph,
    labelOf: (index) => index % photographs.length,
    requestOf: (index, epoch) => {
      const photograph = photographs[index % photographs.length];
      const random = hostRandom(seed, partNumber, epoch, index);
      const crop = chooseSquare(photograph, options, [random.uniform(), random.uniform(), random.uniform()]);
      return { path: photograph.path, size, crop, mirror: flip && random.uniform() < 0.5 };
    },
  };
}

async function measure(path: string): Promise<Photograph> {
  try {
    return { path, ...(await imageSize(path)) };
  } catch (error) {
    throw new Error(`openPhotographCrops: ${printable(`${path} cannot be read: ${(error as Error).message}`)}`);
  }
}

/** The part's rectangle, cut from the longer side so that crops of both parts stay as large as they can. */
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
  throw new Error(
    `openPhotographCrops: the ${options.part} part of ${printable(photograph.path)} must be at least ${options.size} pixels wide and high, got ${width}x${height}`,
  );
}

/** Three uniform numbers choose side (uniform in its logarithm) and place. */
function chooseSquare(
  photograph: Photograph,
  options: PhotographCropsOptions,
  [u, v, w]: [number, number, number],
): Rectangle {
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
