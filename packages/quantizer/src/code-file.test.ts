import fc from 'fast-check';
import { expect, it } from 'vitest';
import { packCodes, unpackCodes } from './index.js';

it('returns every code, at ⌈log2 levels⌉ bits each', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 65536 }), fc.array(fc.nat(), { maxLength: 200 }), (levels, numbers) => {
      const codes = numbers.map((number) => number % levels);
      const bytes = packCodes(codes, { levels });
      expect(bytes.length).toBe(20 + Math.ceil((codes.length * Math.ceil(Math.log2(levels))) / 8));
      const unpacked = unpackCodes(bytes);
      expect([...unpacked.codes]).toEqual(codes);
      expect(unpacked).toMatchObject({ levels, shape: [codes.length] });
    }),
  );
});

it('writes the documented bytes', () => {
  const bytes = packCodes([1, 2, 3, 63], { levels: 64, shape: [2, 2] });
  // 1 | 2 << 6 | 3 << 12 | 63 << 18, lowest byte first
  expect([...bytes.subarray(24)]).toEqual([0x81, 0x30, 0xfc]);
  expect([...bytes.subarray(0, 12)]).toEqual([0x54, 0x42, 0x51, 0x43, 1, 6, 2, 0, 64, 0, 0, 0]);
  expect(unpackCodes(bytes).shape).toEqual([2, 2]);
  // The check value of CRC-32 for the text "123456789".
  const digits = packCodes(new TextEncoder().encode('123456789'), { levels: 256 });
  expect(new DataView(digits.buffer).getUint32(12, true)).toBe(0xcbf43926);
});

it('notices every damaged, missing and surplus byte', () => {
  const original = packCodes([5, 0, 41, 62, 7], { levels: 63, shape: [5] });
  fc.assert(
    fc.property(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }), (position, change) => {
      const bytes = original.slice();
      bytes[position] ^= change;
      try {
        // Only the number of levels may change to another of the same width.
        expect(unpackCodes(bytes).codes).toEqual(unpackCodes(original).codes);
        expect(position).toBe(8);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
    { numRuns: 2000 },
  );
  for (let length = 0; length < original.length; length++)
    expect(() => unpackCodes(original.subarray(0, length))).toThrow(RangeError);
  expect(() => unpackCodes(Uint8Array.of(...original, 0))).toThrow('must have');
});

it('names what is wrong', () => {
  expect(() => packCodes([64], { levels: 64 })).toThrow('got 64 at position 0');
  expect(() => packCodes([1], { levels: 1 })).toThrow('levels');
  expect(() => packCodes([1, 2, 3], { levels: 4, shape: [2, 2] })).toThrow('product 3');
  expect(() => packCodes(3 as unknown as number[], { levels: 4 })).toThrow('codes must be a typed array');
  const bytes = packCodes([1], { levels: 64 });
  expect(() => unpackCodes(bytes.buffer as unknown as Uint8Array)).toThrow('must be a Uint8Array, got an ArrayBuffer');
  const edited = (offset: number, value: number) => Object.assign(bytes.slice(), { [offset]: value });
  expect(() => unpackCodes(edited(0, 0))).toThrow('at byte 0');
  expect(() => unpackCodes(edited(4, 2))).toThrow('version must be 1, got 2');
  expect(() => unpackCodes(edited(19, 255))).toThrow('must have'); // a shape of 4 G codes is not allocated
});
