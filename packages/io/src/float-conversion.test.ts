import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromFloat32, toFloat32 } from './float-conversion.js';
import type { DType, HostTensor, TypedArray } from './host-tensor.js';

const tensor = (dtype: DType, data: TypedArray): HostTensor => ({ dtype, shape: [data.length], data });

/** Every bit pattern of 16 bits. */
const patterns = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);

/** The neighbours among the finite 16-bit values of `value`, found by search: an oracle for rounding to nearest even. */
function nearestEven(value: number, sorted: { value: number; bits: number }[]): number {
  let low = 0;
  let high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle]!.value <= value) low = middle;
    else high = middle;
  }
  const below = value - sorted[low]!.value;
  const above = sorted[high]!.value - value;
  if (below !== above) return below < above ? sorted[low]!.bits : sorted[high]!.bits;
  return sorted[low]!.bits % 2 === 0 ? sorted[low]!.bits : sorted[high]!.bits;
}

describe.each(['F16', 'BF16'] as const)('%s', (dtype) => {
  const decoded = toFloat32(tensor(dtype, patterns));
  const positive = Array.from(decoded.subarray(0, 2 ** 15), (value, bits) => ({ value, bits })).filter(({ value }) =>
    Number.isFinite(value),
  );

  it('keeps every one of the 65536 patterns through float32 and back', () => {
    const encoded = fromFloat32(decoded, dtype) as Uint16Array;
    for (const bits of patterns) {
      if (Number.isNaN(decoded[bits])) expect(toFloat32(tensor(dtype, encoded.slice(bits, bits + 1)))[0]).toBeNaN();
      else expect(encoded[bits]).toBe(bits);
    }
  });

  it('rounds to nearest, ties to even', () => {
    const largest = positive.at(-1)!.value;
    const midpoints = positive.slice(1).map(({ value }, i) => (value + positive[i]!.value) / 2);
    const around = midpoints.flatMap((value) => [value, value * (1 - 2 ** -20), value * (1 + 2 ** -20)]);
    const inputs = Float32Array.from(around).filter((value) => value <= largest);
    const encoded = fromFloat32(inputs, dtype);
    const wrong = inputs.findIndex((value, i) => encoded[i] !== nearestEven(value, positive));
    expect(inputs[wrong]).toBeUndefined();
  });

  it('overflows to infinity and keeps NaN and the sign of zero', () => {
    const encoded = fromFloat32(Float32Array.of(3.4e38, -3.4e38, Number.NaN, -0), dtype);
    const values = toFloat32(tensor(dtype, encoded));
    expect([...values]).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, -0]);
  });
});

describe('integers', () => {
  it.each([
    ['I8', -128, 127],
    ['U8', 0, 255],
    ['I16', -32768, 32767],
    ['U16', 0, 65535],
    ['I32', -(2 ** 31), 2 ** 31 - 128],
    ['U32', 0, 2 ** 32 - 256],
    ['I64', -(2 ** 63), 2 ** 62],
    ['U64', 0, 2 ** 63],
  ] as const)('%s holds its whole range and refuses what lies outside', (dtype, least, most) => {
    const values = Float32Array.of(least, most, 2.5, 3.5);
    expect([...toFloat32(tensor(dtype, fromFloat32(values, dtype)))]).toEqual([least, most, 2, 4]);
    const outside = dtype.startsWith('U') ? -1 : -(2 ** 64);
    expect(() => fromFloat32(Float32Array.of(0, outside), dtype)).toThrow(`values[1] must fit ${dtype}`);
    expect(() => fromFloat32(Float32Array.of(Number.NaN), dtype)).toThrow('got NaN');
  });

  it('rounds 64-bit integers once', () => {
    // 2^53 + 2^29 is a tie between two float32 values; one more must go up although a double cannot hold it.
    const tie = 2n ** 53n + 2n ** 29n;
    const data = BigInt64Array.of(tie, tie + 1n, -tie - 1n);
    expect([...toFloat32(tensor('I64', data))]).toEqual([2 ** 53, 2 ** 53 + 2 ** 30, -(2 ** 53) - 2 ** 30]);
  });

  it('reads booleans as 0 and 1', () => {
    expect([...fromFloat32(Float32Array.of(0, -0, 0.1, Number.NaN), 'BOOL')]).toEqual([0, 0, 1, 1]);
    expect([...toFloat32(tensor('BOOL', Uint8Array.of(0, 1)))]).toEqual([0, 1]);
  });
});

it('converts float64 as Math.fround does', () => {
  fc.assert(
    fc.property(fc.double(), (value) => {
      expect(toFloat32(tensor('F64', Float64Array.of(value)))[0]).toBe(Math.fround(value));
    }),
  );
});

it('names the fault of a tensor that disagrees with itself', () => {
  const bad = { dtype: 'F32', shape: [3], data: Float32Array.of(1, 2) } as HostTensor;
  expect(() => toFloat32(bad)).toThrow('toFloat32: shape must hold 2 elements, got [3]');
  expect(() => toFloat32({ ...bad, data: Uint8Array.of(1) })).toThrow('must be Float32Array, got Uint8Array');
});
