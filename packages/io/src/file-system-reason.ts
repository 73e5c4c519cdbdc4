import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { printable } from './printable.js';

const reasons: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'the system does not permit it',
  EPERM: 'the system does not permit it',
  EROFS: 'the file system is read-only',
  ENOENT: 'it does not exist',
  EEXIST: 'a file has that name',
  ENOTDIR: 'a file has the name of one of its folders',
  EISDIR: 'a folder has that name',
  ENOTEMPTY: 'the folder is not empty',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  EBUSY: 'it is in use',
  ETXTBSY: 'it is in use',
  EFBIG: 'it is too large for the file system',
  EIO: 'the disk reports an error',
  ESTALE: 'the network folder was lost',
  ENXIO: 'its device does not exist',
  ENODEV: 'its device does not exist',
  EXDEV: 'it is on another file system',
  ENOMEM: 'the memory is exhausted',
};

const noRoomForFiles = 'the file system has no room for more files (its inodes are used up)';

/**
 * Explains why the file system refused, in words for the middle of a sentence. For unknown errors it is the error's message.
 *
 * @param path - the file or folder that was to be used (default: the one that the error names)
 */
export function fileSystemReason(error: unknown, path = (error as NodeJS.ErrnoException).path): string {
  const { code = '', message, syscall } = error as NodeJS.ErrnoException;
  if (path !== undefined && ((code === 'ENOENT' && syscall === 'mkdir') || code === 'ENOSPC'))
    return reasonOfFolder(path) ?? reasons[code]!;
  return reasons[code] ?? message;
}

/**
 * Makes the error to throw when a file or folder cannot be used: one sentence with its path, in printable characters, and the
 * system's reason; and the system's `code`.
 *
 * @param cannot - what was tried: `read`, `written`, `removed`
 */
export function fileSystemError(path: string, cannot: string, cause: unknown): NodeJS.ErrnoException {
  const { code } = cause as NodeJS.ErrnoException;
  const message = `${printable(path)} cannot be ${cannot}: ${fileSystemReason(cause, path)}`;
  return Object.assign(new Error(message, { cause }), { code });
}

/**
 * Explains why nothing can be made below a path. Node reports ENOENT for every folder that it could not make together with its
 * parents, and ENOSPC does not distinguish a full disk from one without inodes.
 */
function reasonOfFolder(path: string): string | undefined {
  let folder = resolve(path);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
    const { files, ffree } = statfsSync(folder);
    return files > 0 && ffree === 0 ? noRoomForFiles : undefined;
  } catch (error) {
    return reasons[(error as NodeJS.ErrnoException).code ?? ''];
  }
}
