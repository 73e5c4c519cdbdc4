import type { ByteSource } from './byte-source.js';
import { FileFormatError } from './file-format-error.js';
import { reasonWithKind } from './file-kind.js';
import { bytesPerElement, elementCount, isDType, shapeText } from './host-tensor.js';
import { type HeaderJson, JsonFault, parseHeaderJson } from './json-scanner.js';
import { quoted } from './printable.js';

/**
 * Where one tensor lies: `offset` counts from the start of the file. `dtype` is a `DType`, or the name of a type that is
 * described but cannot be read, such as `F8_E4M3` or `C64`.
 */
export type TensorEntry = { dtype: string; shape: number[]; offset: number; byteLength: number };

/** What the header holds: tensors by name, and the strings of `__metadata__`. Both records have a null prototype. */
export type SafetensorsHeader = { tensors: Record<string, TensorEntry>; metadata: Record<string, string> };

/** The first eight bytes hold the header's length, as an unsigned little-endian integer. */
export const LENGTH_BYTES = 8;

/** Bits of an element of types that can only be described. Types that are missing here may have any size. */
const bitsOfOthers: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  C64: 64,
  C128: 128,
};

/** The limit of the reference implementation. */
export const LARGEST_HEADER = 100_000_000;

/** Reads and checks a safetensors header; afterwards every entry lies inside the file and no byte belongs to two. */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const length = await readHeaderLength(source);
  const bytes = await source.read(LENGTH_BYTES, length);
  if (bytes[0] !== 0x7b) throw new FileFormatError(source.name, LENGTH_BYTES, 'header must begin with "{"');
  const { __metadata__: metadata, ...entries } = parse(source, bytes) as Record<string, HeaderJson>;
  const tensors: Record<string, TensorEntry> = Object.create(null);
  for (const [name, value] of Object.entries(entries)) {
    tensors[name] = readEntry(source, name, value, LENGTH_BYTES + length);
  }
  checkCoverage(source, tensors, LENGTH_BYTES + length);
  return { tensors, metadata: readMetadata(source, metadata) };
}

async function readHeaderLength(source: ByteSource): Promise<number> {
  const fail = async (reason: string) => new FileFormatError(source.name, 0, await reasonWithKind(source, reason));
  if (source.size < LENGTH_BYTES)
    throw await fail(`file of ${source.size} bytes is too short for a safetensors header`);
  const bytes = await source.read(0, LENGTH_BYTES);
  const length = new DataView(bytes.buffer).getBigUint64(0, true);
  if (length < 2n) throw await fail(`header length ${length} is too small: "{}" has 2 bytes`);
  if (length > LARGEST_HEADER)
    throw await fail(`header length ${length} is above the limit of ${LARGEST_HEADER} bytes`);
  const available = source.size - LENGTH_BYTES;
  if (length > available) throw await fail(`header length ${length} is more than the ${available} bytes that follow`);
  return Number(length);
}

function parse(source: ByteSource, bytes: Uint8Array): HeaderJson {
  try {
    return parseHeaderJson(bytes);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw new FileFormatError(source.name, LENGTH_BYTES + error.offset, `header: ${error.reason}`);
  }
}

function readMetadata(source: ByteSource, value: HeaderJson | undefined): Record<string, string> {
  const metadata: Record<string, string> = Object.create(null);
  if (value === undefined) return metadata;
  const fail = (reason: string) => new FileFormatError(source.name, LENGTH_BYTES, `__metadata__ ${reason}`);
  if (!isObject(value)) throw fail('must be an object of strings');
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw fail(`${quoted(key)} must be a string`);
    metadata[key] = text;
  }
  return metadata;
}

function readEntry(source: ByteSource, name: string, value: HeaderJson, dataStart: number): TensorEntry {
  const fail = (reason: string) => new FileFormatError(source.name, LENGTH_BYTES, `tensor ${quoted(name)} ${reason}`);
  if (!isObject(value)) throw fail('must be an object');
  const { dtype, shape, data_offsets: offsets, ...others } = value;
  const unknown = Object.keys(others);
  if (unknown.length > 0) throw fail(`has the unknown field ${quoted(unknown[0]!)}`);
  if (typeof dtype !== 'string') throw fail('has no dtype');
  if (!isIntegerList(shape)) throw fail('needs a shape of integers');
  if (!isIntegerList(offsets) || offsets.length !== 2) throw fail('needs two integer data_offsets');
  const [begin, end] = offsets as [number, number];
  const expected = byteLengthOf(dtype, shape, end - begin);
  if (!Number.isSafeInteger(expected)) throw fail(`of shape [${shapeText(shape)}] is larger than 2^53 bytes`);
  if (end - begin !== expected) {
    const needs = `of dtype ${quoted(dtype)} and shape [${shapeText(shape)}] needs ${expected} bytes`;
    throw fail(`${needs}, data_offsets [${offsets.join(', ')}] differ`);
  }
  const offset = dataStart + begin;
  if (!Number.isSafeInteger(offset) || offset + expected > source.size) {
    throw fail(`ends at data offset ${end}, the file's data at ${source.size - dataStart}`);
  }
  return { dtype, shape, offset, byteLength: expected };
}

/**
 * How many bytes a tensor has; NaN when they are too many to count. Of a type whose size is not known, as many as it
 * occupies: types that future versions of the format add do not keep the others from being read.
 */
function byteLengthOf(dtype: string, shape: readonly number[], occupied: number): number {
  const count = elementCount(shape) ?? Number.NaN;
  if (isDType(dtype)) return count * bytesPerElement(dtype);
  if (!Object.hasOwn(bitsOfOthers, dtype)) return Number.isNaN(count) ? Number.NaN : Math.max(0, occupied);
  return Math.ceil((count / 8) * bitsOfOthers[dtype]!);
}

/** The tensors must cover the data without overlap, gap or trailing bytes. */
function checkCoverage(source: ByteSource, tensors: Record<string, TensorEntry>, dataStart: number): void {
  const inOrder = Object.entries(tensors).sort(
    ([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength, // empty tensors first
  );
  let end = dataStart;
  for (const [name, { offset, byteLength }] of inOrder) {
    if (offset !== end) {
      const fault = offset < end ? 'overlaps the tensor before it' : `leaves a gap of ${offset - end} bytes before it`;
      throw new FileFormatError(source.name, offset, `tensor ${quoted(name)} ${fault}`);
    }
    end = offset + byteLength;
  }
  if (end !== source.size) {
    throw new FileFormatError(source.name, end, `${source.size - end} trailing bytes belong to no tensor`);
  }
}

function isObject(value: HeaderJson): value is { [key: string]: HeaderJson } {
  return typeof value === 'object' && !Array.isArray(value);
}

function isIntegerList(value: HeaderJson | undefined): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}
