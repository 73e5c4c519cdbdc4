import { checkTensor, type DType, type HostTensor, type TypedArray } from './host-tensor.js';
import { typedArrayName } from './typed-array.js';

/**
 * Converts the elements of `tensor` to float32, in new memory.
 *
 * F16 and BF16 convert exactly; F64 and wide integers round to nearest, ties to even; BOOL becomes 0 and 1.
 */
export function toFloat32(tensor: HostTensor): Float32Array<ArrayBuffer> {
  checkTensor('toFloat32', tensor);
  const { dtype, data } = tensor;
  if (dtype === 'BF16') return fromBFloat16(data as Uint16Array);
  if (dtype === 'F16') return fromFloat16(data as Uint16Array);
  if (dtype === 'I64' || dtype === 'U64') return Float32Array.from(data as BigInt64Array, bigToFloat32);
  return new Float32Array(data as Float64Array);
}

/**
 * Converts `values` to elements of `dtype`, rounded to nearest with ties to even, in new memory.
 *
 * F16 and BF16 overflow to infinity as IEEE 754 defines and keep NaN. BOOL is 0 for 0 and 1 for everything else.
 *
 * @throws RangeError when a value is NaN or out of range for an integer dtype; TypeError when `values` are not float32
 */
export function fromFloat32(values: Float32Array, dtype: DType): TypedArray {
  const name = typedArrayName(values);
  if (name !== 'Float32Array')
    throw new TypeError(`fromFloat32: values must be a Float32Array, got ${name ?? typeof values}`);
  switch (dtype) {
    case 'F64':
      return new Float64Array(values);
    case 'F32':
      return new Float32Array(values);
    case 'F16':
      return toFloat16(values);
    case 'BF16':
      return toBFloat16(values);
    case 'BOOL':
      return Uint8Array.from(values, (value) => (value === 0 ? 0 : 1));
    case 'I64':
      return BigInt64Array.from(Array.from(values, (value, i) => BigInt(toInteger(value, i, dtype))));
    case 'U64':
      return BigUint64Array.from(Array.from(values, (value, i) => BigInt(toInteger(value, i, dtype))));
    default: {
      const result = new integerArrays[dtype](values.length);
      for (let i = 0; i < values.length; i++) result[i] = toInteger(values[i]!, i, dtype);
      return result;
    }
  }
}

const integerArrays = {
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
};

/** Adding and subtracting 2^52 + 2^51 rounds a double below 2^51 to an integer, ties to even. */
const ROUNDER = 2 ** 52 + 2 ** 51;

function roundToEven(value: number): number {
  // Float32 values of 2^23 and more are integers already.
  return Math.abs(value) < 2 ** 23 ? value + ROUNDER - ROUNDER : value;
}

function toInteger(
  value: number,
  index: number,
  dtype: Exclude<DType, 'F64' | 'F32' | 'F16' | 'BF16' | 'BOOL'>,
): number {
  const rounded = roundToEven(value);
  const bits = Number(dtype.slice(1));
  const [least, limit] = dtype.startsWith('U') ? [0, 2 ** bits] : [-(2 ** (bits - 1)), 2 ** (bits - 1)];
  if (rounded >= least && rounded < limit) return rounded;
  throw new RangeError(`fromFloat32: values[${index}] must fit ${dtype}, got ${value}`);
}

/** Rounds an integer once: through a double that is first made odd where it is inexact, so no tie appears by chance. */
function bigToFloat32(value: bigint): number {
  const nearest = Number(value);
  if (Number.isSafeInteger(nearest)) return nearest;
  const magnitude = value < 0n ? -value : value;
  const sticky = (magnitude & 0xffffn) === 0n ? 0n : 1n; // at most 24 of the 48 upper bits survive in a float32
  const truncated = Number(((magnitude >> 16n) << 1n) | sticky) * 2 ** 15;
  return value < 0n ? -truncated : truncated;
}

function fromBFloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const result = new Float32Array(bits.length);
  const wide = new Uint32Array(result.buffer);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i]! << 16;
  return result;
}

function toBFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const wide = bitsOf(values);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < wide.length; i++) {
    const bits = wide[i]!;
    const notANumber = (bits & 0x7fffffff) > 0x7f800000;
    // A NaN is made quiet: rounding could carry it to infinity.
    result[i] = notANumber ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
  return result;
}

function fromFloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  halfTable ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => decodeHalf(half));
  const table = halfTable;
  const result = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) result[i] = table[bits[i]!]!;
  return result;
}

/** The float32 value of every float16 bit pattern, made at first use. */
let halfTable: Float32Array | undefined;

function decodeHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function toFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const wide = bitsOf(values);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < wide.length; i++) result[i] = encodeHalf(wide[i]!, values[i]!);
  return result;
}

/** The float16 pattern of a float32, of which `bits` is the pattern and `value` the number. */
function encodeHalf(bits: number, value: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and above round to infinity
  if (magnitude < 0x38800000) return sign | roundToEven(Math.abs(value) * 2 ** 24); // below 2^-14: subnormal
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}
