import type { DType } from './host-tensor.js';
import { bytesPerElement, elementCount, shapeText } from './host-tensor.js';
import { type NumpyElement, numpyDescription, parseNumpyDType } from './numpy-dtype.js';
import { quoted } from './printable.js';

/** What precedes the data of an npy file; `byteLength` counts the data. */
export type NpyHeader = { element: NumpyElement; fortranOrder: boolean; shape: number[]; byteLength: number };

/** A fault in an npy header at `offset` bytes from the start of the npy data. */
export class NpyFault extends Error {
  constructor(
    readonly offset: number,
    readonly reason: string,
  ) {
    super(reason);
  }
}

/** "\x93NUMPY", then two bytes of version. */
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const VERSION_BYTES = 8;

/** Headers of plain arrays have some hundred bytes; NumPy itself refuses more than 10,000. */
const LARGEST_HEADER = 65_536;

const PREAMBLE_BYTES = 12;

/** The most bytes that a header can occupy with everything before the data. */
export const LARGEST_NPY_HEADER = PREAMBLE_BYTES + LARGEST_HEADER;

/**
 * Reads the header at the start of `bytes` (the file's beginning, at most `LARGEST_NPY_HEADER` bytes of it).
 *
 * @returns the header and the offset at which the data begins
 * @throws NpyFault
 */
export function parseNpyHeader(bytes: Uint8Array): { header: NpyHeader; dataOffset: number } {
  if (!MAGIC.every((byte, i) => bytes[i] === byte))
    throw new NpyFault(0, 'is not npy data: it must begin with "\\x93NUMPY"');
  const version = bytes[6];
  if (version === undefined || version < 1 || version > 3)
    throw new NpyFault(6, `npy version ${version} is unsupported`);
  const lengthBytes = version === 1 ? 2 : 4;
  const textOffset = VERSION_BYTES + lengthBytes;
  if (bytes.length < textOffset) throw new NpyFault(bytes.length, 'npy header is cut short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = lengthBytes === 2 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > LARGEST_HEADER) throw new NpyFault(8, `npy header of ${length} bytes is above ${LARGEST_HEADER}`);
  const dataOffset = textOffset + length;
  if (bytes.length < dataOffset) throw new NpyFault(bytes.length, 'npy header is cut short');
  const text = new TextDecoder('latin1').decode(bytes.subarray(textOffset, dataOffset));
  return { header: parseDict(text, textOffset), dataOffset };
}

/** The header is a Python dict of three entries, in any order: descr, fortran_order, shape. */
function parseDict(text: string, offset: number): NpyHeader {
  const fields = new Map<string, string>();
  const entry = /\s*'(descr|fortran_order|shape)'\s*:\s*('[^']*'|True|False|\([\d\s,L]*\)|\[[^\]]*\])\s*(,|(?=\}))/y;
  entry.lastIndex = 1;
  for (let match = entry.exec(text); match !== null; match = entry.exec(text)) {
    const [, key, value] = match as unknown as [string, string, string];
    if (fields.has(key)) throw new NpyFault(offset + match.index, `npy header has ${key} twice`);
    fields.set(key, value);
    if (fields.size === 3) break;
  }
  const rest = text.slice(entry.lastIndex);
  if (!text.startsWith('{') || fields.size < 3 || !/^\s*\}\s*$/.test(rest)) {
    throw new NpyFault(offset, 'npy header must be a dict of descr, fortran_order and shape');
  }
  const element = parseDescription(fields.get('descr')!, offset);
  const shape = parseShape(fields.get('shape')!, offset);
  const byteLength = (elementCount(shape) ?? Number.NaN) * bytesPerElement(element.dtype);
  if (!Number.isSafeInteger(byteLength))
    throw new NpyFault(offset, `npy shape (${shapeText(shape)}) is larger than 2^53 bytes`);
  const fortranOrder = fields.get('fortran_order');
  if (fortranOrder !== 'True' && fortranOrder !== 'False')
    throw new NpyFault(offset, 'npy fortran_order is not a boolean');
  return { element, fortranOrder: fortranOrder === 'True', shape, byteLength };
}

function parseDescription(text: string, offset: number): NumpyElement {
  const description = text.slice(1, -1);
  const element = text.startsWith("'") ? parseNumpyDType(description) : undefined;
  if (element !== undefined) return element;
  const hint = description.endsWith('O') ? ': arrays of Python objects are never read' : '';
  throw new NpyFault(offset, `unsupported npy dtype ${quoted(description)}${hint}`);
}

/** `()`, `(3,)`, `(2, 3)`; Python 2 wrote lengths as `3L`. */
function parseShape(text: string, offset: number): number[] {
  const inner = text.slice(1, -1).trim();
  const lengths = inner === '' ? [] : inner.replace(/,$/, '').split(',');
  const tuple = text.startsWith('(') && (lengths.length !== 1 || inner.endsWith(','));
  if (!tuple || lengths.length > 64 || !lengths.every((length) => /^\s*\d{1,16}L?\s*$/.test(length))) {
    throw new NpyFault(offset, `malformed npy shape ${quoted(text)}`);
  }
  return lengths.map((length) => Number.parseInt(length, 10));
}

/**
 * Everything before the data of a row-major array, padded so that the data begins at a multiple of 64 bytes.
 *
 * @throws TypeError for BF16, which NumPy lacks
 */
export function encodeNpyHeader(dtype: DType, shape: readonly number[]): Uint8Array<ArrayBuffer> {
  const description = numpyDescription(dtype);
  if (description === undefined) throw new TypeError(`npy: dtype must be one that NumPy has, got ${dtype}`);
  if (elementCount(shape) === undefined)
    throw new RangeError(`npy: shape must hold lengths, got [${shape.join(', ')}]`);
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dict = `{'descr': '${description}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const total = Math.ceil((VERSION_BYTES + 2 + dict.length + 1) / 64) * 64;
  const bytes = new Uint8Array(total).fill(0x20);
  bytes.set([...MAGIC, 1, 0]);
  new DataView(bytes.buffer).setUint16(VERSION_BYTES, total - VERSION_BYTES - 2, true);
  bytes.set(new TextEncoder().encode(dict), VERSION_BYTES + 2);
  bytes[total - 1] = 0x0a;
  return bytes;
}
