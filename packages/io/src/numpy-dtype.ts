import { bytesPerElement, type DType, type HostTensor, viewAs } from './host-tensor.js';
import { columnMajorStrides, toRowMajor } from './strided.js';

/** A NumPy element type that has a place here; `bigEndian` is its byte order. */
export type NumpyElement = { dtype: DType; bigEndian: boolean };

const codes: Record<string, DType> = {
  f8: 'F64',
  f4: 'F32',
  f2: 'F16',
  i8: 'I64',
  i4: 'I32',
  i2: 'I16',
  i1: 'I8',
  u8: 'U64',
  u4: 'U32',
  u2: 'U16',
  u1: 'U8',
  b1: 'BOOL',
};

/** The element type of a NumPy description such as `<f4`, `|u1` or `>i8`; undefined when there is none. */
export function parseNumpyDType(description: string): NumpyElement | undefined {
  const [, order, code] = /^([<>|=]?)([a-z]\d)$/.exec(description) ?? [];
  if (code === undefined || !Object.hasOwn(codes, code)) return undefined;
  return { dtype: codes[code]!, bigEndian: order === '>' };
}

/** The NumPy description of a dtype; undefined for BF16, which NumPy lacks. */
export function numpyDescription(dtype: DType): string | undefined {
  const code = Object.keys(codes).find((name) => codes[name] === dtype);
  return code && `${code.endsWith('1') ? '|' : '<'}${code}`;
}

/** A tensor from the bytes of a NumPy array, which must be of the right length; they may be changed in place. */
export function tensorFromNumpy(
  { dtype, bigEndian }: NumpyElement,
  shape: number[],
  fortranOrder: boolean,
  bytes: Uint8Array<ArrayBuffer>,
): HostTensor {
  const width = bytesPerElement(dtype);
  if (bigEndian) swapBytes(bytes, width);
  const data = viewAs(dtype, bytes);
  return fortranOrder ? toRowMajor(dtype, data, { shape, strides: columnMajorStrides(shape) }) : { dtype, shape, data };
}

/** Turns the order of the bytes of every element around, in place. */
function swapBytes(bytes: Uint8Array, width: number): void {
  for (let start = 0; start < bytes.length; start += width)
    for (let low = start, high = start + width - 1; low < high; low++, high--) {
      const byte = bytes[low]!;
      bytes[low] = bytes[high]!;
      bytes[high] = byte;
    }
}
