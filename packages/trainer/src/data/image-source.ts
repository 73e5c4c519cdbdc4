// Labelled images to train on, and the source that reads them from a folder with one folder per class.
import { join } from 'node:path';
import { describeListing, type ImageClass, type ImageError, listClasses, readImageHeader } from '@tb/images';
import { InputError, printable } from '@tb/io';
import { hostRandom } from '@tb/runtime';

/** How to make one training image: decode a file, cut a square out, resize it, perhaps mirror it. */
export type SampleRequest = {
  path: string;
  /** Side of the result in pixels. */
  size: number;
  /** The ADM centre crop, or a square of the image in its own pixels. */
  crop: 'centre' | Square;
  mirror: boolean;
  /** Most pixels that the file may have; see `decodeImage`. */
  maxPixels?: number;
};

export type Square = { left: number; top: number; side: number };

/** A labelled set of images, drawn from by index. */
export type ImageSource = {
  readonly classNames: readonly string[];
  /** Samples in one epoch. */
  readonly length: number;
  readonly size: number;
  /** What was found and what was left out, in one line. */
  readonly summary: string;
  labelOf(index: number): number;
  /** The sample as it is seen in an epoch: the same arguments always give the same request. */
  requestOf(index: number, epoch: number): SampleRequest;
};

/** An image that could not be read, and why. */
export type BadImage = { path: string; reason: string };

/** Options of `openImageFolder`. */
export type ImageFolderOptions = {
  /** Side of the square images. */
  size: number;
  seed: number;
  /** Mirror half of the images, chosen at random. */
  flip: boolean;
  /** Most pixels that a file may have; see `decodeImage`. */
  maxPixels?: number;
};

/**
 * Opens a folder with one folder per class: `data/cat/1.jpg`, `data/dog/2.png`. Classes and files are in the order of
 * their names; see `listClasses`.
 *
 * @throws Error when the folder cannot be read or is empty, or when a class has no readable image
 */
export async function openImageFolder(folder: string, options: ImageFolderOptions): Promise<ImageSource> {
  const { size, seed, flip, maxPixels } = options;
  const listing = await listClasses(folder);
  for (const each of listing.classes) await assertReadable(each, folder, maxPixels);
  const samples = listing.classes.flatMap(({ files }, label) =>
    files.map((file) => ({ path: join(folder, file), label })),
  );
  return {
    classNames: listing.classes.map(({ name }) => name),
    size,
    length: samples.length,
    summary: describeListing(listing),
    labelOf: (index) => samples[index].label,
    requestOf: (index, epoch) => ({
      path: samples[index].path,
      size,
      crop: 'centre',
      mirror: flip && hostRandom(seed, epoch, index).uniform() < 0.5,
      maxPixels,
    }),
  };
}

/** Refuses a class without a readable image: training would show this mistake much later. */
async function assertReadable({ name, files }: ImageClass, folder: string, maxPixels?: number): Promise<void> {
  let reason = '';
  for (const file of files) {
    try {
      await readImageHeader(join(folder, file), { maxPixels });
      return;
    } catch (error) {
      reason ||= `, the first because ${(error as ImageError).reason}`;
    }
  }
  const found = files.length === 0 ? 'none' : `only unreadable ones (${files.length}${reason})`;
  throw new InputError(
    'openImageFolder',
    `class ${printable(name)} of ${printable(folder)} must have a readable image, got ${found}`,
  );
}
