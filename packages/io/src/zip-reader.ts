import { Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import type { ByteSource } from './byte-source.js';
import { FileFormatError } from './file-format-error.js';
import { quoted } from './printable.js';
import { readZipDirectory, type ZipEntry } from './zip-directory.js';

/** An open zip archive: its directory is in memory, members are read when asked for. */
export type ZipArchive = {
  readonly source: ByteSource;
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** False for an archive that was written without checksums: all of them are 0. */
  readonly hasChecksums: boolean;
  /** Where the bytes of members begin, for those whose local header was compared with the directory. */
  readonly located: Map<ZipEntry, Promise<number>>;
  /** Members whose bytes were compared with their checksum. */
  readonly checked: Map<ZipEntry, Promise<void>>;
};

/** Members are read in pieces of at most this many bytes. */
const PIECE = 2 ** 22;

const LOCAL_HEADER_BYTES = 30;

/** Most local headers have no more than this besides the name, padding included. */
const LIKELY_HEADER_BYTES = LOCAL_HEADER_BYTES + 128;

const LONGEST_DESCRIPTOR = 24;

export type OpenZipOptions = {
  /** Accept an archive in which every checksum is 0, as PyTorch writes it when checksums are switched off. */
  allowNoChecksums?: boolean;
};

export async function openZip(
  source: ByteSource,
  { allowNoChecksums = false }: OpenZipOptions = {},
): Promise<ZipArchive> {
  const entries = await readZipDirectory(source);
  const hasChecksums = !allowNoChecksums || [...entries.values()].some(({ checksum }) => checksum !== 0);
  return { source, entries, hasChecksums, located: new Map(), checked: new Map() };
}

/**
 * Offset in the file of a member's first byte, behind its local header.
 *
 * @throws FileFormatError when the local header, or the descriptor behind the member, disagrees with the directory
 */
export function locateMember(archive: ZipArchive, entry: ZipEntry): Promise<number> {
  return once(archive.located, entry, () => compareLocalHeader(archive, entry));
}

/**
 * Compares all bytes of a member with its checksum, once, however many parts of it are read. Nothing of it stays in memory.
 *
 * @throws FileFormatError when they differ
 */
export function checkMember(archive: ZipArchive, entry: ZipEntry): Promise<void> {
  return once(archive.checked, entry, async () => {
    if (!archive.hasChecksums) return;
    const pieces = memberPieces(archive, entry);
    while (!(await pieces.next()).done);
  });
}

function once<T>(results: Map<ZipEntry, Promise<T>>, entry: ZipEntry, work: () => Promise<T>): Promise<T> {
  let result = results.get(entry);
  if (result === undefined) {
    result = work();
    results.set(entry, result);
    result.catch(() => results.delete(entry)); // a failure of the disk may pass
  }
  return result;
}

async function compareLocalHeader({ source, hasChecksums }: ZipArchive, entry: ZipEntry): Promise<number> {
  const { headerOffset: offset } = entry;
  const fail = (reason: string) =>
    new FileFormatError(source.name, offset, `zip member ${quoted(entry.name)} ${reason}`);
  const header = await source.read(
    offset,
    Math.min(LIKELY_HEADER_BYTES + entry.nameBytes.length, entry.limit - offset),
  );
  const view = new DataView(header.buffer);
  if (view.getUint32(0, true) !== 0x04034b50) throw fail('has no local header');
  const flags = view.getUint16(6, true);
  if (flags & 1) throw fail('is encrypted');
  if (view.getUint16(8, true) !== entry.method) throw fail('has two different compression methods');
  const [nameLength, extraLength] = [view.getUint16(26, true), view.getUint16(28, true)];
  const start = offset + LOCAL_HEADER_BYTES + nameLength + extraLength;
  if (start + entry.compressedSize > entry.limit) throw fail('reaches into what follows it');
  const isComplete = start - offset <= header.length;
  const bytes = isComplete ? header.slice(0, start - offset) : await source.read(offset, start - offset);
  if (!isEqual(bytes.subarray(LOCAL_HEADER_BYTES, LOCAL_HEADER_BYTES + nameLength), entry.nameBytes))
    throw fail('has another name in its local header');
  const facts = localFacts(view, new DataView(bytes.buffer, LOCAL_HEADER_BYTES + nameLength));
  const isStreamed = (flags & 8) !== 0; // the facts follow in a descriptor; the header may hold zeros
  for (const [what, value] of Object.entries(facts)) {
    const expected = entry[what as keyof typeof facts];
    const isOpen = value === undefined || (isStreamed && value === 0) || (what === 'checksum' && !hasChecksums);
    if (!isOpen && value !== expected)
      throw fail(`has two different values for its ${words[what as keyof typeof facts]}`);
  }
  if (isStreamed) await compareDescriptor(source, entry, start + entry.compressedSize, fail);
  return start;
}

const words = { checksum: 'checksum', compressedSize: 'packed size', size: 'size' };

/** What a local header states about the member; sizes are undefined if they should be in an extra field that is missing. */
function localFacts(view: DataView, extra: DataView) {
  const checksum = view.getUint32(14, true);
  const [compressedSize, size] = [view.getUint32(18, true), view.getUint32(22, true)];
  if (compressedSize !== 0xffffffff && size !== 0xffffffff) return { checksum, compressedSize, size };
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== 1 || at + 4 + 16 > extra.byteLength) continue;
    return {
      checksum,
      size: Number(extra.getBigUint64(at + 4, true)),
      compressedSize: Number(extra.getBigUint64(at + 12, true)),
    };
  }
  return { checksum, compressedSize: undefined, size: undefined };
}

/** The descriptor behind a member that was streamed: with a signature, as nearly all writers make it, it is compared. */
async function compareDescriptor(
  source: ByteSource,
  entry: ZipEntry,
  offset: number,
  fail: (reason: string) => FileFormatError,
): Promise<void> {
  const length = Math.min(LONGEST_DESCRIPTOR, entry.limit - offset);
  if (length < 16) return;
  const view = new DataView((await source.read(offset, length)).buffer);
  if (view.getUint32(0, true) !== 0x08074b50) return;
  const low = (size: number) => size % 2 ** 32; // sizes have 4 or 8 bytes: the lower ones come first
  if (view.getUint32(4, true) !== entry.checksum || view.getUint32(8, true) !== low(entry.compressedSize))
    throw fail('has another checksum or size in the descriptor behind it');
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/**
 * The member's bytes, unpacked, piece by piece.
 *
 * @throws FileFormatError when they are fewer or more than the directory states, or their checksum differs; only the end
 *   of the sequence makes the pieces trustworthy
 */
export async function* memberPieces(archive: ZipArchive, entry: ZipEntry): AsyncGenerator<Uint8Array> {
  const start = await locateMember(archive, entry);
  const stored = storedPieces(archive, start, entry.compressedSize);
  const fail = (reason: string) =>
    new FileFormatError(archive.source.name, start, `zip member ${quoted(entry.name)} ${reason}`);
  let size = 0;
  let checksum = 0;
  for await (const piece of entry.method === 0 ? stored : inflated(stored, fail)) {
    size += piece.length;
    if (size > entry.size) throw fail(`unpacks to more than the ${entry.size} bytes that the directory states`);
    checksum = crc32(piece, checksum);
    yield piece;
  }
  if (size < entry.size) throw fail(`unpacks to ${size} bytes instead of ${entry.size}`);
  if (archive.hasChecksums && checksum !== entry.checksum)
    throw fail('has a wrong checksum (CRC-32): the file is damaged');
}

/** The complete member, unpacked. `mostBytes` bounds the memory that is taken. */
export async function readMember(
  archive: ZipArchive,
  entry: ZipEntry,
  mostBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (entry.size > mostBytes) {
    const reason = `zip member ${quoted(entry.name)} of ${entry.size} bytes exceeds the limit of ${mostBytes} bytes`;
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
