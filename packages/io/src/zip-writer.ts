import { Readable } from 'node:stream';
import { crc32, createDeflateRaw } from 'node:zlib';

/** A member to be written: `size` is the exact number of bytes that `pieces` will bring. */
export type ZipMember = { name: string; size: number; pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array> };

type Written = {
  name: Uint8Array;
  method: number;
  checksum: number;
  size: number;
  compressedSize: number;
  offset: number;
};

/** Flags: sizes and checksum follow in a data descriptor (bit 3), names are UTF-8 (bit 11). */
const FLAGS = 0x0808;

/** 1 January 1980, the earliest date of the format: equal content gives equal files. */
const DATE = 0x0021;

const VERSION = 45; // zip64

/**
 * The bytes of a zip archive, piece by piece, without ever going back: checksums are after the members in data
 * descriptors. Every record is of the zip64 kind, so that no size is special.
 *
 * @throws RangeError when a member does not bring exactly `size` bytes
 */
export async function* zipPieces(members: readonly ZipMember[], compress: boolean): AsyncGenerator<Uint8Array> {
  const written: Written[] = [];
  let offset = 0;
  for (const { name, size, pieces } of members) {
    const entry = {
      name: new TextEncoder().encode(name),
      method: compress ? 8 : 0,
      checksum: 0,
      size: 0,
      compressedSize: 0,
      offset,
    };
    const header = localHeader(entry);
    yield header;
    const plain = measured(entry, pieces);
    for await (const piece of compress ? deflated(plain) : plain) {
      entry.compressedSize += piece.length;
      yield piece;
    }
    if (entry.size !== size) throw new RangeError(`zip member ${name} must bring ${size} bytes, got ${entry.size}`);
    const descriptor = dataDescriptor(entry);
    yield descriptor;
    offset += header.length + entry.compressedSize + descriptor.length;
    written.push(entry);
  }
  const directory = written.map(directoryEntry);
  yield* directory;
  const byteLength = directory.reduce((sum, { length }) => sum + length, 0);
  yield endRecords(written.length, byteLength, offset);
}

async function* measured(entry: Written, pieces: ZipMember['pieces']): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    if (piece.length === 0) continue; // crc32 of an empty piece can forget what came before it
    entry.size += piece.length;
    entry.checksum = crc32(piece, entry.checksum);
    yield piece;
  }
}

async function* deflated(plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const deflate = createDeflateRaw();
  const input = Readable.from(plain);
  input.on('error', (error) => deflate.destroy(error));
  yield* input.pipe(deflate);
}

/** Little-endian fields in this order, each [bytes, value]. */
function record(...fields: [2 | 4 | 8, number][]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(fields.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  return bytes;
}

function concatenate(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** The zip64 extra field means that the descriptor's sizes have 8 bytes. */
function localHeader({ name, method }: Written): Uint8Array {
  const wide = 0xffffffff;
  const fixed = record(
    [4, 0x04034b50],
    [2, VERSION],
    [2, FLAGS],
    [2, method],
    [2, 0],
    [2, DATE],
    [4, 0],
    [4, wide],
    [4, wide],
    [2, name.length],
    [2, 20],
  );
  return concatenate(fixed, name, record([2, 0x0001], [2, 16], [8, 0], [8, 0]));
}

function dataDescriptor({ checksum, compressedSize, size }: Written): Uint8Array {
  return record([4, 0x08074b50], [4, checksum], [8, compressedSize], [8, size]);
}

function directoryEntry({ name, method, checksum, compressedSize, size, offset }: Written): Uint8Array {
  const wide = 0xffffffff;
  const fixed = record(
    [4, 0x02014b50],
    [2, VERSION],
    [2, VERSION],
    [2, FLAGS],
    [2, method],
    [2, 0],
    [2, DATE],
    [4, checksum],
    [4, wide],
    [4, wide],
    [2, name.length],
    [2, 28],
    [2, 0],
    [2, 0],
    [2, 0],
    [4, 0],
    [4, wide],
  );
  return concatenate(fixed, name, record([2, 0x0001], [2, 24], [8, size], [8, compressedSize], [8, offset]));
}

function endRecords(count: number, byteLength: number, offset: number): Uint8Array {
  const end64 = record(
    [4, 0x06064b50],
    [8, 44],
    [2, VERSION],
    [2, VERSION],
    [4, 0],
    [4, 0],
    [8, count],
    [8, count],
    [8, byteLength],
    [8, offset],
  );
  const locator = record([4, 0x07064b50], [4, 0], [8, offset + byteLength], [4, 1]);
  const all = 0xffffffff;
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, 0xffff], [2, 0xffff], [4, all], [4, all], [2, 0]);
  return concatenate(end64, locator, end);
}
