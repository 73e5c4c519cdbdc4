import type { ByteSource } from './byte-source.js';
import { FileFormatError } from './file-format-error.js';

/** One member of a zip archive, as the central directory describes it (APPNOTE.TXT 6.3.10, section 4.3.12). */
export type ZipEntry = {
  name: string;
  /** 0 stored, 8 deflated; nothing else is accepted. */
  method: 0 | 8;
  checksum: number;
  compressedSize: number;
  /** Size once unpacked. */
  size: number;
  headerOffset: number;
  /** Where the next member or the directory begins: this member must end before. */
  limit: number;
};

type Directory = { offset: number; byteLength: number; count: number };

const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;
const ENTRY_BYTES = 46;
const LOCAL_HEADER_BYTES = 30;

/** Deflate cannot shrink more than this; a member that claims to be larger lies. */
const HIGHEST_RATIO = 1032;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads the central directory, zip64 included. Local headers are not consulted: writers that stream leave the sizes
 * there to a data descriptor.
 */
export async function readZipDirectory(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const directory = await findDirectory(source);
  const bytes = await source.read(directory.offset, directory.byteLength);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < directory.count; i++) {
    const { entry, next } = readEntry(source, directory, bytes, at);
    if (entries.has(entry.name)) {
      throw new FileFormatError(source.name, directory.offset + at, `two zip members are named ${quote(entry.name)}`);
    }
    entries.set(entry.name, entry);
    at = next;
  }
  setLimits(source, entries, directory.offset);
  return entries;
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  const tailStart = Math.max(0, source.size - END_BYTES - LONGEST_COMMENT);
  const tail = await source.read(tailStart, source.size - tailStart);
  const view = new DataView(tail.buffer);
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (view.getUint32(at, true) !== 0x06054b50) continue;
    if (at + END_BYTES + view.getUint16(at + 20, true) !== tail.length) continue;
    return readEnd(source, new DataView(tail.buffer, at, END_BYTES), tailStart + at);
  }
  throw new FileFormatError(source.name, source.size, 'no zip end-of-directory record: not a zip file, or cut short');
}

async function readEnd(source: ByteSource, view: DataView, at: number): Promise<Directory> {
  const fields = {
    count: view.getUint16(10, true),
    byteLength: view.getUint32(12, true),
    offset: view.getUint32(16, true),
  };
  const isZip64 = fields.count === 0xffff || fields.byteLength === 0xffffffff || fields.offset === 0xffffffff;
  const directory = isZip64 ? await readEnd64(source, at) : fields;
  const { count, offset, byteLength } = directory;
  if (offset + byteLength > at) throw new FileFormatError(source.name, at, 'zip directory lies outside the file');
  if (count * ENTRY_BYTES > byteLength) {
    throw new FileFormatError(source.name, at, `zip directory of ${byteLength} bytes cannot hold ${count} members`);
  }
  return directory;
}

async function readEnd64(source: ByteSource, endOffset: number): Promise<Directory> {
  const locatorOffset = endOffset - LOCATOR_BYTES;
  if (locatorOffset < 0) throw new FileFormatError(source.name, endOffset, 'zip64 locator is missing');
  const locator = new DataView((await source.read(locatorOffset, LOCATOR_BYTES)).buffer);
  if (locator.getUint32(0, true) !== 0x07064b50) {
    throw new FileFormatError(source.name, locatorOffset, 'zip64 locator is missing');
  }
  const offset = readSize(source, locator, 8, locatorOffset);
  const end = new DataView((await source.read(offset, END64_BYTES)).buffer);
  if (end.getUint32(0, true) !== 0x06064b50) {
    throw new FileFormatError(source.name, offset, 'zip64 end-of-directory record is missing');
  }
  return {
    count: readSize(source, end, 32, offset),
    byteLength: readSize(source, end, 40, offset),
    offset: readSize(source, end, 48, offset),
  };
}

/** A 64-bit field as a number; `offset` is where `view` begins in the file. */
function readSize(source: ByteSource, view: DataView, at: number, offset: number): number {
  const value = view.getBigUint64(at, true);
  if (value <= BigInt(source.size) * BigInt(HIGHEST_RATIO)) return Number(value);
  throw new FileFormatError(source.name, offset + at, `zip64 field ${value} is impossible in a file of this size`);
}

function readEntry(source: ByteSource, directory: Directory, bytes: Uint8Array<ArrayBuffer>, at: number) {
  const fail = (reason: string) => new FileFormatError(source.name, directory.offset + at, `zip directory: ${reason}`);
  if (at + ENTRY_BYTES > bytes.length) throw fail('ends in the middle of an entry');
  const view = new DataView(bytes.buffer, at);
  if (view.getUint32(0, true) !== 0x02014b50) throw fail('entry without its signature');
  const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => view.getUint16(field, true));
  const extraStart = ENTRY_BYTES + nameLength!;
  const next = at + extraStart + extraLength! + commentLength!;
  if (next > bytes.length) throw fail('ends in the middle of an entry');
  const name = decodeName(bytes.subarray(at + ENTRY_BYTES, at + extraStart), fail);
  const method = view.getUint16(10, true);
  if (method !== 0 && method !== 8) throw fail(`${quote(name)} has the unsupported compression method ${method}`);
  const extra = new DataView(bytes.buffer, at + extraStart, extraLength);
  const sizes = readSizes(source, view, extra, directory.offset + at);
  if (method === 0 && sizes.size !== sizes.compressedSize) throw fail(`stored member ${quote(name)} has two sizes`);
  if (sizes.size > (sizes.compressedSize + 1) * HIGHEST_RATIO) {
    throw fail(`${quote(name)} claims ${sizes.size} bytes from ${sizes.compressedSize}: more than deflate can pack`);
  }
  const entry: ZipEntry = { name, method, checksum: view.getUint32(16, true), ...sizes, limit: 0 };
  return { entry, next };
}

function decodeName(bytes: Uint8Array, fail: (reason: string) => FileFormatError): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw fail('member name is not valid UTF-8');
  }
}

/** Sizes and offset of an entry. Those that are all ones stand in its zip64 extra field, in this order. */
function readSizes(source: ByteSource, view: DataView, extra: DataView, offset: number) {
  const fields = [24, 20, 42].map((at) => view.getUint32(at, true));
  const isWide = (field: number) => field === 0xffffffff;
  if (fields.some(isWide)) {
    let at = findExtra(extra, 0x0001);
    for (const i of [0, 1, 2].filter((each) => isWide(fields[each]!))) {
      if (at === undefined || at + 8 > extra.byteLength) {
        throw new FileFormatError(source.name, offset, 'zip directory: entry without its zip64 sizes');
      }
      fields[i] = readSize(source, extra, at, offset);
      at += 8;
    }
  }
  const [size, compressedSize, headerOffset] = fields as [number, number, number];
  return { size, compressedSize, headerOffset };
}

/** Where the data of the extra field `id` begins. */
function findExtra(extra: DataView, id: number): number | undefined {
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) === id) return at + 4;
  }
  return undefined;
}

/** Members must lie one behind the other before the directory: no byte can be unpacked twice. */
function setLimits(source: ByteSource, entries: Map<string, ZipEntry>, directoryOffset: number): void {
  let limit = directoryOffset;
  for (const entry of [...entries.values()].sort((a, b) => b.headerOffset - a.headerOffset)) {
    if (entry.headerOffset + LOCAL_HEADER_BYTES + entry.compressedSize > limit) {
      const reason = `zip member ${quote(entry.name)} overlaps the member or directory behind it`;
      throw new FileFormatError(source.name, entry.headerOffset, reason);
    }
    entry.limit = limit;
    limit = entry.headerOffset;
  }
}

function quote(name: string): string {
  return JSON.stringify(name);
}
