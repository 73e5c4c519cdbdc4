import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { FileFormatError } from './file-format-error.js';
import { fileSystemError } from './file-system-reason.js';
import { bytesIn } from './typed-array.js';

/** Bytes that can be read at any offset: a file on disk, or bytes in memory. Every reader of this package reads one. */
export type ByteSource = {
  /** Path or name, for messages. */
  readonly name: string;
  /** Length in bytes; offsets beyond 2^32 are fine. */
  readonly size: number;
  /** Reads `length` bytes at `offset` into new memory that starts at byte 0 of its buffer. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
};

/** What the readers accept: a path, bytes in memory, or a custom source (an HTTP range reader, say). */
export type ByteInput = string | Uint8Array | ByteSource;

/** What messages call an input: its path, or the name of its source. */
export const nameOf = (input: ByteInput): string =>
  typeof input === 'string' ? input : bytesIn(input) !== undefined ? MEMORY : (input as ByteSource).name;

const MEMORY = '(memory)';

/** One call of the operating system reads at most 2^31 - 1 bytes. */
const LARGEST_READ = 2 ** 30;

/**
 * Opens `input`; the caller closes the result.
 *
 * @throws Error with the path and the reason when a path cannot be opened, and the `code` of the file system's own error;
 *   TypeError when `input` is something else
 */
async function openByteSource(input: ByteInput): Promise<ByteSource> {
  if (typeof input === 'string') return openFile(input);
  const bytes = bytesIn(input);
  if (bytes !== undefined) return memorySource(bytes);
  if (typeof (input as ByteSource | undefined)?.read === 'function') return input as ByteSource;
  throw new TypeError('the input must be a path, a Uint8Array of bytes, or a source with name, size, read and close');
}

/** Opens `input`, hands it to `use`, and closes it whatever happens. */
export async function withByteSource<T>(input: ByteInput, use: (source: ByteSource) => Promise<T>): Promise<T> {
  const source = await openByteSource(input);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

/** Opens `input` and hands it to `use`, whose result keeps it open; closes it when `use` fails. */
export async function withSource<T>(input: ByteInput, use: (source: ByteSource) => Promise<T>): Promise<T> {
  const source = await openByteSource(input);
  try {
    return await use(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Bytes in memory as a source; `name` takes the place of the path in error messages. */
export function memorySource(bytes: Uint8Array, name = MEMORY): ByteSource {
  const source: ByteSource = {
    name,
    size: bytes.byteLength,
    async read(offset, length) {
      checkRange(source, offset, length);
      return new Uint8Array(bytes.subarray(offset, offset + length));
    },
    async close() {},
  };
  return source;
}

async function openFile(path: string): Promise<ByteSource> {
  const withoutWaiting = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0); // for a writer, where the path is a pipe
  const handle = await open(path, withoutWaiting).catch((error) => {
    throw fileSystemError(path, 'read', error);
  });
  const status = await handle.stat();
  if (!status.isFile()) {
    await handle.close();
    throw new FileFormatError(path, 0, status.isDirectory() ? 'is a folder' : 'is not a regular file');
  }
  return fileSource(path, handle, status.size);
}

function fileSource(path: string, handle: FileHandle, size: number): ByteSource {
  const source: ByteSource = {
    name: path,
    size,
    async read(offset, length) {
      checkRange(source, offset, length);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const count = Math.min(length - done, LARGEST_READ);
        const { bytesRead } = await handle.read(bytes, done, count, offset + done).catch((error) => {
          throw fileSystemError(path, 'read', error);
        });
        if (bytesRead === 0) throw new FileFormatError(path, offset + done, 'file became shorter while it was read');
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
  return source;
}

/** Checked before memory is taken, so that a length from a corrupt file never allocates more than the file holds. */
function checkRange(source: ByteSource, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (valid && offset + length <= source.size) return;
  const reason = `needs ${length} bytes here, but the file has ${source.size} bytes`;
  throw new FileFormatError(source.name, offset, reason);
}
