import { typedArrayName } from './typed-array.js';

/** Element types, by their safetensors names. */
export type DType = keyof typeof dtypes;

/** An array that holds the elements of a tensor. */
export type TypedArray =
  | Float64Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

/**
 * A dense tensor in host memory, row major (last index fastest).
 *
 * `data` is the typed array of the dtype; F16 and BF16 hold raw bits in a Uint16Array (see `toFloat32`), BOOL holds
 * 0 and 1 in a Uint8Array. `shape` is `[]` for a scalar.
 */
export type HostTensor = { dtype: DType; shape: number[]; data: TypedArray };

const dtypes = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

export function isDType(name: string): name is DType {
  return Object.hasOwn(dtypes, name);
}

export function bytesPerElement(dtype: DType): number {
  return dtypes[dtype].BYTES_PER_ELEMENT;
}

/** Counts the elements of a shape; `undefined` when an axis is not a length or a partial product exceeds 2^53. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const length of shape) {
    count *= length;
    if (!Number.isSafeInteger(length) || length < 0 || !Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/** A shape for a message: the first lengths of one that is long. */
export function shapeText(shape: readonly number[]): string {
  return shape.length > 16 ? `${shape.slice(0, 16).join(', ')}, …` : shape.join(', ');
}

/** The elements that little-endian `bytes` hold, on the same memory, in which they must be aligned. */
export function viewAs(dtype: DType, bytes: Uint8Array<ArrayBuffer>): TypedArray {
  requireLittleEndianHost();
  return new dtypes[dtype](bytes.buffer, bytes.byteOffset, bytes.byteLength / bytesPerElement(dtype));
}

/** The little-endian bytes of `data`, on the same memory. */
export function bytesOf(data: TypedArray): Uint8Array<ArrayBuffer> {
  requireLittleEndianHost();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Throws unless the parts of `tensor` agree: a dtype, `data` of its array type, and as many elements as the shape has. */
export function checkTensor(where: string, tensor: HostTensor): void {
  const { dtype, shape, data } = tensor;
  if (!isDType(dtype)) {
    throw new TypeError(`${where}: dtype must be one of ${Object.keys(dtypes).join(', ')}, got ${dtype}`);
  }
  if (typedArrayName(data) !== dtypes[dtype].name) {
    const got = typedArrayName(data) ?? (data as object | undefined)?.constructor?.name ?? typeof data;
    throw new TypeError(`${where}: data of dtype ${dtype} must be ${dtypes[dtype].name}, got ${got}`);
  }
  const count = elementCount(shape);
  if (count !== data.length) {
    throw new RangeError(`${where}: shape must hold ${data.length} elements, got [${shapeText(shape)}]`);
  }
}

/** All formats here are little endian on disk, as every machine that Node's release builds support but IBM Z is. */
function requireLittleEndianHost(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) throw new Error('@tb/io: big-endian machines are unsupported');
}
