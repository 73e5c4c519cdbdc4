import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { imageExtension, imageSize } from '@tb/images';
import { fileSystemReason, printable } from '@tb/io';
import { hostRandom } from '@tb/runtime';
import type { ImageSource } from './image-source.js';

export type ImageFolderOptions = {
  /** Side of the square pictures. */
  size: number;
  seed: number;
  /** Mirror every other picture, at random. */
  flip: boolean;
};

/**
 * A folder with one folder per class: `data/cat/1.jpg`, `data/dog/2.png`. Classes and files are in the order of their
 * names; files inside deeper folders belong to the class above them.
 *
 * @throws Error when the folder is missing or empty, or when a class has no readable image
 */
export async function openImageFolder(folder: string, options: ImageFolderOptions): Promise<ImageSource> {
  const { size, seed, flip } = options;
  const classNames = await listClasses(folder);
  const files: { path: string; label: number }[] = [];
  for (const [label, name] of classNames.entries()) {
    const paths = await listImages(join(folder, name));
    await assertReadable(join(folder, name), paths);
    for (const path of paths) files.push({ path, label });
  }
  return {
    classNames,
    size,
    length: files.length,
    labelOf: (index) => files[index].label,
    requestOf: (index, epoch) => ({
      path: files[index].path,
      size,
      crop: 'centre',
      mirror: flip && hostRandom(seed, epoch, index).uniform() < 0.5,
    }),
  };
}

async function listClasses(folder: string): Promise<string[]> {
  const entries = await listFolder(folder);
  const isFolder = await Promise.all(entries.map(({ name }) => isDirectory(join(folder, name))));
  const names = entries.map(({ name }) => name).filter((name, index) => isFolder[index] && !name.startsWith('.'));
  if (names.length > 0) return names.sort(byName);
  const loose = entries.some((entry) => imageExtension.test(entry.name));
  throw new Error(
    loose
      ? `openImageFolder: ${folder} must hold one folder per class, got images only: move them into a folder, or use --crops to train on crops of each photograph`
      : `openImageFolder: ${folder} must hold one folder of images per class, got an empty folder`,
  );
}

/** Links to folders count as folders, links to nothing do not. */
const isDirectory = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

async function listImages(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && imageExtension.test(entry.name) && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort(byName);
}

export async function listFolder(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const isFile = (error as NodeJS.ErrnoException).code === 'ENOTDIR';
    throw new Error(`data folder ${folder} cannot be read: ${isFile ? 'it is a file' : fileSystemReason(error)}`);
  }
}

/** A class without one readable image is a mistake that training would only show much later. */
async function assertReadable(folder: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const readable = await imageSize(path).then(
      () => true,
      () => false,
    );
    if (readable) return;
  }
  const found = paths.length === 0 ? 'no JPEG, PNG or WebP file' : `only unreadable ones (${paths.length})`;
  throw new Error(`openImageFolder: class folder ${printable(folder)} must hold a readable image, got ${found}`);
}

/** The same order on every machine, whatever its language. */
export const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
