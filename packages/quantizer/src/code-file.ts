// Indices as a compact, self-describing file: ⌈log2 levels⌉ bits per code. All numbers are little-endian.
//
//   offset  size
//   0       4      "TBQC"
//   4       1      format version, 2
//   5       1      bits per code
//   6       1      rank R of the shape, 1 to 8
//   7       1      0
//   8       4      levels
//   12      4      CRC-32 of the file without these four bytes (ISO 3309, as in gzip)
//   16      4·R    shape
//   16+4R   …      payload: codes from the lowest bit of each byte upwards; unused bits of the last byte are 0
//
// In version 1 the checksum covers the payload alone, so that damaged levels or a damaged shape cannot be noticed.

import { assertArray, byteView, kindOf } from './array-argument.js';

const MAGIC = [0x54, 0x42, 0x51, 0x43];
const VERSION = 2;
const HEADER_BYTES = 16;
const CHECKSUM_OFFSET = 12;
const LARGEST_RANK = 8;
const LARGEST_SIZE = 2 ** 32 - 1;

/** Options of `packCodes`. */
export type PackOptions = {
  /** Number of codewords, 2 to 65536. */
  levels: number;
  /** Shape of the codes, its product their number; by default one dimension. */
  shape?: readonly number[];
};

/** The content of a code file. */
export type UnpackedCodes = {
  /** Flat, row-major; Uint8Array up to 256 levels, else Uint16Array. */
  codes: Uint8Array | Uint16Array;
  levels: number;
  shape: number[];
  /** Format version of the file. In version 1 no checksum covers `levels` and `shape`. */
  version: 1 | 2;
};

/**
 * Packs indices into bytes, 6 bits a code for 64 levels, behind a header of 16 bytes and 4 per dimension.
 *
 * @throws RangeError if levels or shape do not fit or a code is not an integer in [0, levels)
 */
export function packCodes(codes: ArrayLike<number>, options: PackOptions): Uint8Array {
  assertArray('packCodes', 'codes', codes);
  const { levels, shape = [codes.length] } = options;
  const bits = bitsPerCode(levels);
  if (Number.isNaN(bits)) throw new RangeError(`packCodes: levels must be an integer from 2 to 65536, got ${levels}`);
  const isShape = shape.every((size) => Number.isInteger(size) && size >= 0 && size <= LARGEST_SIZE);
  if (!isShape || shape.length < 1 || shape.length > LARGEST_RANK || product(shape) !== codes.length)
    throw new RangeError(`packCodes: shape must be 1 to 8 sizes of product ${codes.length}, got [${shape}]`);
  const start = HEADER_BYTES + 4 * shape.length;
  const bytes = new Uint8Array(start + Math.ceil((codes.length * bits) / 8));
  writePayload(bytes.subarray(start), codes, bits, levels);
  bytes.set([...MAGIC, VERSION, bits, shape.length, 0]);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, levels, true);
  for (const [i, size] of shape.entries()) view.setUint32(HEADER_BYTES + 4 * i, size, true);
  view.setUint32(CHECKSUM_OFFSET, checksumOf(bytes), true);
  return bytes;
}

/** Options of `unpackCodes`. */
export type UnpackOptions = {
  /**
   * Read files of version 1 too, whose levels and shape no checksum covers (default: false). What such a file states is
   * returned as it is; `packCodes` writes it again as version 2.
   */
  allowUncheckedHeader?: boolean;
};

/**
 * Reads what `packCodes` wrote.
 *
 * @throws RangeError naming offset and reason if the bytes are anything else: wrong magic or version, truncated,
 *   trailing or damaged data, a code that is not less than `levels`. Nothing is allocated before the size is checked.
 */
export function unpackCodes(input: Uint8Array, { allowUncheckedHeader = false }: UnpackOptions = {}): UnpackedCodes {
  const bytes = byteView(input);
  if (bytes === undefined) throw new TypeError(`unpackCodes: bytes must be a Uint8Array, got ${kindOf(input)}`);
  const { version, levels, bits, shape, start, checksum } = readHeader(bytes);
  const payload = bytes.subarray(start);
  if (checksum !== (version === 1 ? crc32(payload) : checksumOf(bytes)))
    throw invalid(CHECKSUM_OFFSET, 'the checksum does not match: the file is damaged');
  if (version === 1 && !allowUncheckedHeader)
    throw invalid(4, `${uncheckedHeader(levels, shape)}; allowUncheckedHeader reads it all the same`);
  const count = product(shape);
  const codes = levels <= 256 ? new Uint8Array(count) : new Uint16Array(count);
  const mask = 2 ** bits - 1;
  let buffer = 0;
  let available = 0;
  let next = 0;
  for (let i = 0; i < count; i++) {
    while (available < bits) {
      buffer |= payload[next++] << available;
      available += 8;
    }
    const code = buffer & mask;
    if (code >= levels) throw invalid(start + next - 1, `code ${i} must be less than ${levels}, got ${code}`);
    codes[i] = code;
    buffer >>>= bits;
    available -= bits;
  }
  if (buffer !== 0) throw invalid(bytes.length - 1, 'unused bits of the last byte must be 0');
  return { codes, levels, shape, version };
}

const uncheckedHeader = (levels: number, shape: readonly number[]) =>
  `version 1 has no checksum of its header, which states ${levels} levels and shape [${shape}]`;

function readHeader(bytes: Uint8Array) {
  if (bytes.length < HEADER_BYTES) throw invalid(0, `header must have ${HEADER_BYTES} bytes, got ${bytes.length}`);
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) throw invalid(0, 'file must begin with "TBQC"');
  const version = bytes[4];
  if (version !== 1 && version !== VERSION) throw invalid(4, `version must be 1 or ${VERSION}, got ${version}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const levels = view.getUint32(8, true);
  const bits = bytes[5];
  if (bits !== bitsPerCode(levels)) throw invalid(5, `bits per code must fit the levels, got ${bits} for ${levels}`);
  const rank = bytes[6];
  if (rank < 1 || rank > LARGEST_RANK) throw invalid(6, `rank must be 1 to ${LARGEST_RANK}, got ${rank}`);
  if (bytes[7] !== 0) throw invalid(7, `reserved byte must be 0, got ${bytes[7]}`);
  const start = HEADER_BYTES + 4 * rank;
  if (bytes.length < start) throw invalid(HEADER_BYTES, `shape must have ${4 * rank} bytes, got fewer`);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(HEADER_BYTES + 4 * i, true));
  const expected = start + Math.ceil((product(shape) * bits) / 8);
  if (bytes.length !== expected)
    throw invalid(start, `file must have ${expected} bytes for shape [${shape}], got ${bytes.length}`);
  return { version, levels, bits, shape, start, checksum: view.getUint32(CHECKSUM_OFFSET, true) } as const;
}

function writePayload(payload: Uint8Array, codes: ArrayLike<number>, bits: number, levels: number): void {
  let buffer = 0;
  let used = 0;
  let next = 0;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (!(code >= 0 && code < levels && Number.isInteger(code)))
      throw new RangeError(`packCodes: codes must be integers in [0, ${levels}), got ${code} at position ${i}`);
    buffer |= code << used;
    used += bits;
    for (; used >= 8; used -= 8) {
      payload[next++] = buffer & 0xff;
      buffer >>>= 8;
    }
  }
  if (used > 0) payload[next] = buffer;
}

/** ⌈log2 levels⌉, or NaN if `levels` is not an integer from 2 to 65536. */
function bitsPerCode(levels: number): number {
  return Number.isInteger(levels) && levels >= 2 && levels <= 65536 ? 32 - Math.clz32(levels - 1) : Number.NaN;
}

const product = (shape: readonly number[]) => shape.reduce((count, size) => count * size, 1);

const invalid = (offset: number, reason: string) => new RangeError(`unpackCodes: at byte ${offset}: ${reason}`);

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0);
  return remainder;
});

/** CRC-32 of a file of version 2: of everything but the checksum. */
function checksumOf(bytes: Uint8Array): number {
  return crc32(bytes.subarray(CHECKSUM_OFFSET + 4), crc32(bytes.subarray(0, CHECKSUM_OFFSET)));
}

/** @param before - the checksum of the bytes before these */
function crc32(bytes: Uint8Array, before = 0): number {
  let remainder = ~before;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ crcTable[(remainder ^ byte) & 0xff];
  return ~remainder >>> 0;
}
