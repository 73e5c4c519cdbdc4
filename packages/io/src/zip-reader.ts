import { Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import type { ByteSource } from './byte-source.js';
import { FileFormatError } from './file-format-error.js';
import { readZipDirectory, type ZipEntry } from './zip-directory.js';

/** An open zip archive: its directory is in memory, members are read when asked for. */
export type ZipArchive = {
  readonly source: ByteSource;
  readonly entries: ReadonlyMap<string, ZipEntry>;
};

/** Members are read in pieces of at most this many bytes. */
const PIECE = 2 ** 22;

const LOCAL_HEADER_BYTES = 30;

export async function openZip(source: ByteSource): Promise<ZipArchive> {
  return { source, entries: await readZipDirectory(source) };
}

/** Offset in the file of a member's first byte, behind its local header. */
export async function locateMember({ source }: ZipArchive, entry: ZipEntry): Promise<number> {
  const { name, headerOffset: offset } = entry;
  const header = await source.read(offset, LOCAL_HEADER_BYTES);
  const view = new DataView(header.buffer);
  const fail = (reason: string) => new FileFormatError(source.name, offset, `zip member ${quote(name)} ${reason}`);
  if (view.getUint32(0, true) !== 0x04034b50) throw fail('has no local header');
  if (view.getUint16(6, true) & 1) throw fail('is encrypted');
  if (view.getUint16(8, true) !== entry.method) throw fail('has two different compression methods');
  const start = offset + LOCAL_HEADER_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
  if (start + entry.compressedSize > entry.limit) throw fail('reaches into what follows it');
  return start;
}

/**
 * The member's bytes, unpacked, piece by piece.
 *
 * @throws FileFormatError when they are fewer or more than the directory says, or their checksum differs; only the end
 *   of the sequence makes the pieces trustworthy
 */
export async function* memberPieces(archive: ZipArchive, entry: ZipEntry): AsyncGenerator<Uint8Array> {
  const start = await locateMember(archive, entry);
  const stored = storedPieces(archive, start, entry.compressedSize);
  const fail = (reason: string) =>
    new FileFormatError(archive.source.name, start, `zip member ${quote(entry.name)} ${reason}`);
  let size = 0;
  let checksum = 0;
  for await (const piece of entry.method === 0 ? stored : inflated(stored, fail)) {
    size += piece.length;
    if (size > entry.size) throw fail(`unpacks to more than the ${entry.size} bytes that the directory states`);
    checksum = crc32(piece, checksum);
    yield piece;
  }
  if (size < entry.size) throw fail(`unpacks to ${size} bytes instead of ${entry.size}`);
  if (checksum !== entry.checksum) throw fail('has a wrong checksum (CRC-32): the file is damaged');
}

/** The whole member, unpacked. `mostBytes` bounds the memory that is taken. */
export async function readMember(
  archive: ZipArchive,
  entry: ZipEntry,
  mostBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (entry.size > mostBytes) {
    const reason = `zip member ${quote(entry.name)} of ${entry.size} bytes exceeds the limit of ${mostBytes} bytes`;
    throw new FileFormatError(archive.source.name, entry.headerOffset, reason);
  }
  const bytes = new Uint8Array(entry.size);
  let done = 0;
  for await (const piece of memberPieces(archive, entry)) {
    bytes.set(piece, done);
    done += piece.length;
  }
  return bytes;
}

async function* storedPieces({ source }: ZipArchive, start: number, length: number): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < length; done += PIECE) yield source.read(start + done, Math.min(PIECE, length - done));
}

async function* inflated(
  compressed: AsyncIterable<Uint8Array>,
  fail: (reason: string) => FileFormatError,
): AsyncGenerator<Uint8Array> {
  const inflate = createInflateRaw({ chunkSize: 2 ** 16 });
  const input = Readable.from(compressed);
  input.on('error', (error) => inflate.destroy(error));
  try {
    for await (const piece of input.pipe(inflate)) yield piece;
  } catch (error) {
    if (error instanceof FileFormatError) throw error;
    throw fail(`cannot be inflated: ${(error as Error).message}`);
  } finally {
    input.destroy();
    inflate.destroy();
  }
}

function quote(name: string): string {
  return JSON.stringify(name);
}
