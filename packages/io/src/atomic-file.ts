import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileSystemError, fileSystemReason } from './file-system-reason.js';
import { removeLeftoversOf, temporaryPath } from './temporary-files.js';
import { bytesIn } from './typed-array.js';

/** Bytes of a file: all at once, or piece by piece as they come into being. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Writes a file so that, whatever happens, `path` holds either its old content or the complete new content.
 *
 * The bytes go to a temporary file in the same folder, which is flushed to the disk and renamed to `path`; then the
 * folder is flushed, so that the rename survives a power cut. When anything fails, `content` included, the temporary
 * file is removed and the error is passed on. What killed processes left in the folder is removed first. A string is
 * written as UTF-8.
 *
 * @throws Error that names the file and states why it cannot be written (disk full, no permission), with the `code` of the
 *   file system's own error; whatever `content` throws, as it is
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  const temporary = temporaryPath(path);
  const attempt = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw writeError(path, error);
    });
  await removeLeftoversOf(path);
  const handle = await attempt(open(temporary, 'wx'));
  try {
    try {
      for await (const piece of piecesOf(content)) await attempt(writeAll(handle, bytesOfPiece(path, piece)));
      await attempt(handle.sync());
    } finally {
      await attempt(handle.close());
    }
    await attempt(rename(temporary, path));
  } catch (error) {
    await removeAfter(error as Error, temporary);
    throw error;
  }
  await syncFolder(dirname(path)).catch((error) => {
    const message = `${path} was written, but a power cut may undo that: ${fileSystemReason(error)}`;
    throw Object.assign(new Error(message, { cause: error }), { code: error.code });
  });
}

/** Removes the temporary file after a failure, whose message reports where it stays if that fails too. */
async function removeAfter(failure: Error, temporary: string): Promise<void> {
  await rm(temporary, { force: true }).catch((error) => {
    failure.message += `; ${temporary} is left behind, because it cannot be removed: ${fileSystemReason(error)}`;
  });
}

function writeError(path: string, error: NodeJS.ErrnoException): Error {
  if (error.code !== 'ENOENT') return fileSystemError(path, 'written', error);
  const reason = error.syscall === 'rename' ? 'its temporary file was removed' : 'its folder does not exist';
  return Object.assign(new Error(`${path} cannot be written: ${reason}`, { cause: error }), { code: error.code });
}

function piecesOf(content: FileContent): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof content === 'string') return [new TextEncoder().encode(content)];
  return ArrayBuffer.isView(content) ? [content] : content;
}

/** Bytes of this or another realm. */
function bytesOfPiece(path: string, piece: unknown): Uint8Array {
  const bytes = bytesIn(piece);
  if (bytes === undefined) throw new TypeError(`writeFileAtomic: the content of ${path} must be text or Uint8Arrays`);
  return bytes;
}

/** One call of the operating system writes at most 2^31 - 1 bytes, and may write fewer than it was given. */
async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, 2 ** 30));
    done += bytesWritten;
  }
}

/** Errors of file systems that have no flush for folders, or do not let this user open one. */
const noFlushOfFolders = ['EINVAL', 'ENOTSUP', 'ENOSYS', 'EISDIR', 'EBADF', 'EPERM', 'EACCES'];

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // Windows cannot open a folder, and flushes renames by itself
  try {
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!noFlushOfFolders.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
