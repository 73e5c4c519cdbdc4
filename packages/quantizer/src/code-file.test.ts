import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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
  expect([...bytes.subarray(0, 12)]).toEqual([0x54, 0x42, 0x51, 0x43, 2, 6, 2, 0, 64, 0, 0, 0]);
  expect(unpackCodes(bytes)).toMatchObject({ shape: [2, 2], version: 2 });
  const covered = Uint8Array.of(...bytes.subarray(0, 12), ...bytes.subarray(16));
  expect(new DataView(bytes.buffer).getUint32(12, true)).toBe(crc32(covered));
});

it('leaves no byte of the file unchecked', () => {
  const files = [
    packCodes([5, 0, 41, 62, 7], { levels: 63, shape: [5] }),
    packCodes([1, 2, 3, 4, 5, 6], { levels: 300, shape: [2, 3] }),
    packCodes([], { levels: 2, shape: [0, 7] }),
  ];
  for (const original of files)
    for (let position = 0; position < original.length; position++)
      for (let value = 0; value < 256; value++) {
        if (value === original[position]) continue;
        const bytes = Object.assign(original.slice(), { [position]: value });
        expect(() => unpackCodes(bytes, { allowUncheckedHeader: true })).toThrow(RangeError);
      }
  const swapped = files[1].slice(); // sizes of the shape, and levels of the same width
  swapped.set([3, 0, 0, 0, 2], 16);
  expect(() => unpackCodes(swapped)).toThrow('at byte 12: the checksum does not match');
});

describe('version 1, whose checksum covers the payload alone', () => {
  const read = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));

  it.each([
    ['version-1.tbqc', '64 levels and shape [2,3]'],
    ['version-1-other-levels.tbqc', '48 levels and shape [2,3]'],
    ['version-1-mutant.tbqc', '511 levels and shape [2,10]'],
  ])('%s is refused, and the message states what the file claims', (name, claim) => {
    expect(() => unpackCodes(read(name))).toThrow(RangeError);
    expect(() => unpackCodes(read(name))).toThrow(claim);
  });

  it('is read when it is asked for', () => {
    const unpacked = unpackCodes(read('version-1.tbqc'), { allowUncheckedHeader: true });
    expect(unpacked).toMatchObject({ levels: 64, version: 1 });
    const { codes, levels, shape } = unpacked;
    expect(unpackCodes(packCodes(codes, { levels, shape }))).toEqual({ ...unpacked, version: 2 });
  });

  it('is refused if the payload is damaged, or the version alone was changed', () => {
    const bytes = new Uint8Array(read('version-1.tbqc'));
    const edited = (position: number, value: number) => Object.assign(bytes.slice(), { [position]: value });
    const options = { allowUncheckedHeader: true };
    expect(() => unpackCodes(edited(bytes.length - 1, 0xff), options)).toThrow('the checksum does not match');
    expect(() => unpackCodes(edited(4, 2), options)).toThrow('the checksum does not match');
    const current = Object.assign(packCodes([1, 2], { levels: 64 }), { 4: 1 });
    expect(() => unpackCodes(current, options)).toThrow('the checksum does not match');
  });
});

it('reads bytes of every kind and realm', () => {
  const bytes = packCodes([1, 2, 3], { levels: 300 });
  const foreign = runInNewContext('Uint8Array.from(bytes)', { bytes });
  const clamped = Uint8ClampedArray.from(bytes);
  const signed = new Int8Array(bytes.buffer);
  for (const each of [foreign, clamped, signed, Buffer.from(bytes)])
    expect([...unpackCodes(each as Uint8Array).codes]).toEqual([1, 2, 3]);
  for (const each of [new Uint16Array(30), new DataView(bytes.buffer), 'TBQC', null])
    expect(() => unpackCodes(each as unknown as Uint8Array)).toThrow(/bytes must be a Uint8Array, got /);
});

it('notices every damaged, missing and additional byte', () => {
  const original = packCodes([5, 0, 41, 62, 7], { levels: 63, shape: [5] });
  fc.assert(
    fc.property(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }), (position, change) => {
      const bytes = original.slice();
      bytes[position] ^= change;
      expect(() => unpackCodes(bytes)).toThrow(RangeError);
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
  expect(() => unpackCodes(edited(4, 3))).toThrow('version must be 1 or 2, got 3');
  expect(() => unpackCodes(edited(19, 255))).toThrow('must have'); // a shape of 4 G codes is not allocated
});
