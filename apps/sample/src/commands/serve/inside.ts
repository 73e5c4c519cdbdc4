// Files below a folder, for readers who must not get others: links that lead out of it are refused.
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';

/** Waits for nothing: a pipe without a writer gives no bytes. The last part of the path must not be a link. */
const openFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a file below a folder.
 *
 * @param root - the folder, as `realpath` returns it
 * @param path - below the folder
 * @returns undefined when there is no such file, or it is outside: by its path, or through a link
 */
export async function openInside(root: string, path: string): Promise<FileHandle | undefined> {
  const real = await realpath(join(root, path)).catch(() => undefined);
  if (real === undefined || !isInside(root, real)) return undefined;
  const file = await open(real, openFlags).catch(() => undefined);
  if (!file) return undefined;
  const status = await file.stat().catch(() => undefined);
  // The path may have become a link since it was resolved.
  if (status?.isFile() && (await realpath(join(root, path)).catch(() => undefined)) === real) return file;
  await file.close();
  return undefined;
}

function isInside(root: string, path: string): boolean {
  const below = relative(root, path);
  return below !== '' && below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below);
}
