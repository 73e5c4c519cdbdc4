import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileSystemReason } from './file-system-reason.js';

/** Bytes of a file: all at once, or piece by piece as they come into being. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Writes a file so that, whatever happens, `path` holds either its old content or the whole new content.
 *
 * The bytes go to a temporary file in the same folder, which is flushed to the disk and renamed to `path`; then the
 * folder is flushed, so that the rename survives a power cut. When anything fails, `content` included, the temporary
 * file is removed and the error is thrown on. A string is written as UTF-8.
 *
 * @throws Error that names the file and says why it cannot be written (disk full, no permission), with the `code` of the
 *   file system's own error; whatever `content` throws, as it is
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  const attempt = <T>(work: Promise<T>): Promise<T> => work.catch((error) => refuse(path, error));
  const handle = await attempt(open(temporary, 'wx'));
  try {
    try {
      for await (const piece of piecesOf(content)) await attempt(writeAll(handle, piece));
      await attempt(handle.sync());
    } finally {
      await handle.close();
    }
    await attempt(rename(temporary, path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

function refuse(path: string, error: NodeJS.ErrnoException): never {
  const reason = error.code === 'ENOENT' ? 'its folder does not exist' : fileSystemReason(error);
  throw Object.assign(new Error(`${path} cannot be written: ${reason}`, { cause: error }), { code: error.code });
}

function piecesOf(content: FileContent): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof content === 'string') return [new TextEncoder().encode(content)];
  return content instanceof Uint8Array ? [content] : content;
}

/** One call of the operating system writes at most 2^31 - 1 bytes, and may write fewer than it was given. */
async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, 2 ** 30));
    done += bytesWritten;
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // Windows cannot open a folder, and flushes renames by itself
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
