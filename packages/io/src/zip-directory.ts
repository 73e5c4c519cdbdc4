import type { ByteSource } from './byte-source.js';
import { FileFormatError } from './file-format-error.js';
import { quoted } from './printable.js';

/** One member of a zip archive, as the central directory describes it (APPNOTE.TXT 6.3.10, section 4.3.12). */
export type ZipEntry = {
  name: string;
  /** The name as the file has it. */
  nameBytes: Uint8Array;
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

/** Where the directory is, and `end`, where the record behind it begins. */
type Directory = { offset: number; byteLength: number; count: number; end: number };

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
 * Reads the central directory, zip64 included. Local headers are compared with it when their member is read, for that takes
 * a read of each.
 */
export async function readZipDirectory(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const directory = await findDirectory(source);
  const bytes = await source.read(directory.offset, directory.byteLength);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < directory.count; i++) {
    const { entry, next } = readEntry(source, directory, bytes, at);
    if (entries.has(entry.name)) {
      throw new FileFormatError(source.name, directory.offset + at, `two zip members are named ${quoted(entry.name)}`);
    }
    entries.set(entry.name, entry);
    at = next;
  }
  if (at !== bytes.length) {
    const reason = `zip directory holds more than the ${directory.count} members that its end record counts`;
    throw new FileFormatError(source.name, directory.offset + at, reason);
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
  const fail = (reason: string) => new FileFormatError(source.name, at, `zip directory ${reason}`);
  const short = {
    count: view.getUint16(10, true),
    byteLength: view.getUint32(12, true),
    offset: view.getUint32(16, true),
  };
  const isOpen = { count: short.count === 0xffff, byteLength: isWide(short.byteLength), offset: isWide(short.offset) };
  const long = await readEnd64(source, at);
  if (long === undefined && Object.values(isOpen).includes(true)) throw fail('needs a zip64 record, which is missing');
  const directory = long ?? { ...short, end: at };
  const { count, offset, byteLength, end } = directory;
  for (const field of ['count', 'byteLength', 'offset'] as const) {
    if (!isOpen[field] && short[field] !== directory[field]) throw fail('is described in two ways by its end records');
  }
  if (offset + byteLength > at) throw fail('lies outside the file');
  if (count * ENTRY_BYTES > byteLength) throw fail(`of ${byteLength} bytes cannot hold ${count} members`);
  if (offset + byteLength !== end) throw fail('does not end where its end record begins');
  return directory;
}

const isWide = (field: number) => field === 0xffffffff;

/** The zip64 end record, if there is one: large archives need it, and some writers always make it. */
async function readEnd64(source: ByteSource, endOffset: number): Promise<Directory | undefined> {
  const locatorOffset = endOffset - LOCATOR_BYTES;
  if (locatorOffset < 0) return undefined;
  const locator = new DataView((await source.read(locatorOffset, LOCATOR_BYTES)).buffer);
  if (locator.getUint32(0, true) !== 0x07064b50) return undefined;
  const offset = readSize(source, locator, 8, locatorOffset);
  const record = new DataView((await source.read(offset, END64_BYTES)).buffer);
  if (record.getUint32(0, true) !== 0x06064b50) {
    throw new FileFormatError(source.name, offset, 'zip64 end-of-directory record is missing');
  }
  return {
    end: offset,
    count: readSize(source, record, 32, offset),
    byteLength: readSize(source, record, 40, offset),
    offset: readSize(source, record, 48, offset),
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
  const nameBytes = bytes.subarray(at + ENTRY_BYTES, at + extraStart);
  const name = decodeName(nameBytes, fail);
  const method = view.getUint16(10, true);
  if (method !== 0 && method !== 8) throw fail(`${quoted(name)} has the unsupported compression method ${method}`);
  const extra = new DataView(bytes.buffer, at + extraStart, extraLength);
  const sizes = readSizes(source, view, extra, directory.offset + at);
  if (method === 0 && sizes.size !== sizes.compressedSize) throw fail(`stored member ${quoted(name)} has two sizes`);
  if (sizes.size > (sizes.compressedSize + 1) * HIGHEST_RATIO) {
    throw fail(`${quoted(name)} claims ${sizes.size} bytes from ${sizes.compressedSize}: more than deflate can pack`);
  }
  const entry: ZipEntry = { name, nameBytes, method, checksum: view.getUint32(16, true), ...sizes, limit: 0 };
  return { entry, next };
}

function decodeName(bytes: Uint8Array, fail: (reason: string) => FileFormatError): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw fail('member name is not valid UTF-8');
  }
}

/** Sizes and offset of an entry. Those that are all ones are in its zip64 extra field, in this order. */
function readSizes(source: ByteSource, view: DataView, extra: DataView, offset: number) {
  const fields = [24, 20, 42].map((at) => view.getUint32(at, true));
  if (fields.some(isWide)) {
    let at = findExtra(extra, 0x0001);
    for (const i of [0, 1, 2].filter((field) => isWide(fields[field]!))) {
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
      const reason = `zip member ${quoted(entry.name)} overlaps the member or directory behind it`;
      throw new FileFormatError(source.name, entry.headerOffset, reason);
    }
    entry.limit = limit;
    limit = entry.headerOffset;
  }
}
