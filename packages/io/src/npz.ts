import { writeFileAtomic } from './atomic-file.js';
import { type ByteInput, type ByteSource, withByteSource, withSource } from './byte-source.js';
import { FileFormatError } from './file-format-error.js';
import { bytesPerElement, elementCount, type HostTensor } from './host-tensor.js';
import { DEFAULT_MAX_BYTES, type NpyArray, type NpyReadOptions, npyByteLength, npyPieces } from './npy.js';
import { LARGEST_NPY_HEADER, NpyFault, type NpyHeader, parseNpyHeader } from './npy-header.js';
import { tensorFromNumpy } from './numpy-dtype.js';
import { PieceReader } from './piece-reader.js';
import { listed, quoted } from './printable.js';
import type { ZipEntry } from './zip-directory.js';
import { memberPieces, openZip, type ZipArchive } from './zip-reader.js';
import { zipPieces } from './zip-writer.js';

/** An open npz file: the names are in memory, arrays are read when asked for. */
export type NpzFile = {
  /** Names of the arrays, without the suffix `.npy`. */
  readonly names: string[];
  /** Element type and shape of an array, from its header alone. */
  describe(name: string): Promise<Pick<HostTensor, 'dtype' | 'shape'>>;
  /** Reads one array. */
  read(name: string): Promise<HostTensor>;
  /**
   * Reads an array in runs of at most `rows` rows of its first axis, in order, so that arrays larger than memory can be
   * gone through. Works for row-major arrays.
   */
  batches(name: string, rows: number): AsyncGenerator<HostTensor>;
  close(): Promise<void>;
};

/**
 * Opens an npz file, stored or deflated, of any size. Close it after use.
 *
 * @throws FileFormatError when the archive is malformed; its methods throw it for a malformed or damaged array, or one
 *   above `maxBytes`
 */
export function openNpz(input: ByteInput, options: NpyReadOptions = {}): Promise<NpzFile> {
  const { maxBytes = DEFAULT_MAX_BYTES } = options;
  return withSource(input, async (source) => {
    const archive = await openZip(source);
    const members = membersByName(archive);
    const find = (name: string): ZipEntry => {
      const entry = members.get(name);
      if (entry !== undefined) return entry;
      throw new Error(`${source.name}: no array is named ${quoted(name)}; there are: ${listed([...members.keys()])}`);
    };
    return {
      names: [...members.keys()],
      describe: async (name) => describeArray(archive, find(name)),
      read: async (name) => readArray(archive, find(name), maxBytes),
      batches: (name, rows) => readBatches(archive, find(name), rows, maxBytes),
      close: () => source.close(),
    };
  });
}

/** Arrays by their names, without the suffix `.npy`. */
function membersByName({ source, entries }: ZipArchive): Map<string, ZipEntry> {
  const members = new Map<string, ZipEntry>();
  for (const [memberName, entry] of entries) {
    const name = memberName.replace(/\.npy$/, '');
    if (members.has(name))
      throw new FileFormatError(source.name, entry.headerOffset, `two arrays are named ${quoted(name)}`);
    members.set(name, entry);
  }
  return members;
}

/**
 * Reads all arrays of an npz file.
 *
 * @param options - `maxBytes` bounds the arrays together; default 4 GiB
 * @returns the arrays by name, in a record with a null prototype
 */
export function readNpz(input: ByteInput, options: NpyReadOptions = {}): Promise<Record<string, HostTensor>> {
  const { maxBytes = DEFAULT_MAX_BYTES } = options;
  return withByteSource(input, (source) => readAll(source, maxBytes));
}

async function readAll(source: ByteSource, maxBytes: number): Promise<Record<string, HostTensor>> {
  const archive = await openZip(source);
  const arrays: Record<string, HostTensor> = Object.create(null);
  let remaining = maxBytes;
  for (const [name, entry] of membersByName(archive)) {
    const array = await readArray(archive, entry, remaining);
    remaining -= array.data.byteLength;
    arrays[name] = array;
  }
  return arrays;
}

/** Options of `writeNpz`. */
export type NpzWriteOptions = {
  /** Deflate the arrays. Default: false, as `numpy.savez` does. */
  compress?: boolean;
};

/**
 * Writes an npz file atomically (see `writeFileAtomic`). Arrays whose data comes in runs are never in memory as a whole:
 * 50,000 images can be written as they are made.
 */
export async function writeNpz(
  path: string,
  arrays: Record<string, NpyArray>,
  options: NpzWriteOptions = {},
): Promise<void> {
  const members = Object.entries(arrays).map(([name, array]) => ({
    name: `${name}.npy`,
    size: npyByteLength(array),
    pieces: npyPieces(`writeNpz: array ${JSON.stringify(name)}`, array),
  }));
  await writeFileAtomic(path, zipPieces(members, options.compress === true));
}

type OpenArray = { header: NpyHeader; reader: PieceReader; fail: (reason: string) => FileFormatError };

/** Reads the header of a member and checks that the data behind it has the length that the header implies. */
async function openArray(archive: ZipArchive, entry: ZipEntry): Promise<OpenArray> {
  const { name } = entry;
  const fail = (reason: string) =>
    new FileFormatError(archive.source.name, entry.headerOffset, `array ${quoted(name)}: ${reason}`);
  const reader = new PieceReader(memberPieces(archive, entry));
  try {
    const start = new Uint8Array(Math.min(entry.size, LARGEST_NPY_HEADER));
    const filled = start.subarray(0, await reader.fill(start));
    const { header, dataOffset } = parseNpyHeader(filled);
    reader.unread(filled.subarray(dataOffset));
    const available = entry.size - dataOffset;
    if (header.byteLength !== available) throw fail(`needs ${header.byteLength} bytes, the member has ${available}`);
    return { header, reader, fail };
  } catch (error) {
    await reader.close();
    throw error instanceof NpyFault ? fail(`at its byte ${error.offset}: ${error.reason}`) : error;
  }
}

async function describeArray(archive: ZipArchive, entry: ZipEntry): Promise<Pick<HostTensor, 'dtype' | 'shape'>> {
  const { header, reader } = await openArray(archive, entry);
  await reader.close();
  return { dtype: header.element.dtype, shape: header.shape };
}

async function readArray(archive: ZipArchive, entry: ZipEntry, maxBytes: number): Promise<HostTensor> {
  const { header, reader, fail } = await openArray(archive, entry);
  try {
    const { element, shape, fortranOrder, byteLength } = header;
    if (byteLength > maxBytes) throw fail(`${byteLength} bytes exceed the limit of ${maxBytes} bytes`);
    const bytes = new Uint8Array(byteLength);
    await reader.fill(bytes);
    await reader.finish();
    return tensorFromNumpy(element, shape, fortranOrder, bytes);
  } finally {
    await reader.close();
  }
}

async function* readBatches(
  archive: ZipArchive,
  entry: ZipEntry,
  rows: number,
  maxBytes: number,
): AsyncGenerator<HostTensor> {
  if (!(Number.isSafeInteger(rows) && rows > 0)) throw new RangeError(`batches: rows must be a count, got ${rows}`);
  const { header, reader, fail } = await openArray(archive, entry);
  try {
    const { element, shape, fortranOrder } = header;
    const [total, ...rowShape] = shape;
    if (total === undefined) throw fail('a scalar has no rows');
    if (fortranOrder) throw fail('is in Fortran order: its rows do not lie one after the other');
    const rowBytes = elementCount(rowShape)! * bytesPerElement(element.dtype);
    if (Math.min(rows, total) * rowBytes > maxBytes) throw fail(`${rows} rows exceed the limit of ${maxBytes} bytes`);
    for (let row = 0; row < total; row += rows) {
      const count = Math.min(rows, total - row);
      const bytes = new Uint8Array(count * rowBytes);
      await reader.fill(bytes);
      if (row + count === total) await reader.finish(); // the checksum is right, or the last rows are not handed out
      yield tensorFromNumpy(element, [count, ...rowShape], false, bytes);
    }
  } finally {
    await reader.close();
  }
}
