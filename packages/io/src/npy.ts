import { writeFileAtomic } from './atomic-file.js';
import { type ByteInput, type ByteSource, withByteSource } from './byte-source.js';
import { FileFormatError } from './file-format-error.js';
import {
  bytesOf,
  bytesPerElement,
  checkTensor,
  type DType,
  elementCount,
  type HostTensor,
  type TypedArray,
} from './host-tensor.js';
import { encodeNpyHeader, LARGEST_NPY_HEADER, NpyFault, parseNpyHeader } from './npy-header.js';
import { tensorFromNumpy } from './numpy-dtype.js';

/** Options of `readNpy`, `readNpz` and `openNpz`. */
export type NpyReadOptions = {
  /** Most bytes of array data to take into memory. Default: 4 GiB. */
  maxBytes?: number;
};

/** An array to be written: all at once, or in runs of whole elements as they come into being, row major. */
export type NpyArray =
  | HostTensor
  | { dtype: DType; shape: number[]; data: Iterable<TypedArray> | AsyncIterable<TypedArray> };

export const DEFAULT_MAX_BYTES = 2 ** 32;

/**
 * Reads an npy file (versions 1 to 3) into a row-major tensor of the machine's byte order.
 *
 * Arrays of Python objects, strings and records are refused.
 *
 * @throws FileFormatError when the file is malformed, not of exactly the length its header implies, or above `maxBytes`
 */
export function readNpy(input: ByteInput, options: NpyReadOptions = {}): Promise<HostTensor> {
  return withByteSource(input, async (source) => {
    const { maxBytes = DEFAULT_MAX_BYTES } = options;
    const start = await source.read(0, Math.min(source.size, LARGEST_NPY_HEADER));
    const { header, dataOffset } = parse(source, start);
    const { element, shape, fortranOrder, byteLength } = header;
    const fail = (reason: string) => new FileFormatError(source.name, dataOffset, reason);
    const available = source.size - dataOffset;
    if (byteLength !== available) throw fail(`array needs ${byteLength} bytes, the file has ${available}`);
    if (byteLength > maxBytes) throw fail(`array of ${byteLength} bytes exceeds the limit of ${maxBytes} bytes`);
    return tensorFromNumpy(element, shape, fortranOrder, await source.read(dataOffset, byteLength));
  });
}

function parse(source: ByteSource, start: Uint8Array) {
  try {
    return parseNpyHeader(start);
  } catch (error) {
    throw error instanceof NpyFault ? new FileFormatError(source.name, error.offset, error.reason) : error;
  }
}

/**
 * Writes an npy file atomically (see `writeFileAtomic`).
 *
 * @throws TypeError for BF16, which NumPy lacks; RangeError when the data is not of the shape's length
 */
export async function writeNpy(path: string, array: NpyArray): Promise<void> {
  await writeFileAtomic(path, npyPieces('writeNpy', array));
}

/** Length of the npy file that `array` makes. */
export function npyByteLength({ dtype, shape }: NpyArray): number {
  return encodeNpyHeader(dtype, shape).length + elementCount(shape)! * bytesPerElement(dtype);
}

/** The bytes of an npy file, piece by piece. */
export async function* npyPieces(where: string, array: NpyArray): AsyncGenerator<Uint8Array> {
  const { dtype, shape, data } = array;
  yield encodeNpyHeader(dtype, shape);
  const expected = elementCount(shape)!;
  let count = 0;
  for await (const piece of ArrayBuffer.isView(data) ? [data as TypedArray] : data) {
    checkTensor(where, { dtype, shape: [piece.length], data: piece });
    count += piece.length;
    yield bytesOf(piece);
  }
  if (count === expected) return;
  throw new RangeError(`${where}: data of shape [${shape.join(', ')}] must have ${expected} elements, got ${count}`);
}
