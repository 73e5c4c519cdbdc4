import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileFormatError } from './file-format-error.js';
import { fromFloat32, toFloat32 } from './float-conversion.js';
import type { DType, HostTensor } from './host-tensor.js';
import { openSafetensors, readSafetensors } from './safetensors-reader.js';
import { writeSafetensors } from './safetensors-writer.js';
import { expectedValues, fixturePath, withFolder } from './testing/fixtures.js';

/** A safetensors file of this header text, its length as given or as it is, and `dataBytes` zeros. */
function makeFile(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

const entry = (begin: number, end: number, shape: number[] = [(end - begin) / 4], dtype = 'F32') =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

const invalidUtf8 = (): Uint8Array => {
  const text = new TextEncoder().encode(`{"a?":${entry(0, 4)}}`);
  text[3] = 0xff;
  return text;
};

describe('malformed files', () => {
  it.each<[string, Uint8Array, number, RegExp]>([
    ['empty', new Uint8Array(0), 0, /too short/],
    ['shorter than the length field', new Uint8Array(7), 0, /7 bytes is too short/],
    ['header length 0', makeFile('', 8, 0n), 0, /too small/],
    ['header length 1', makeFile('{}', 0, 1n), 0, /too small/],
    ['header length beyond the file', makeFile('{}', 0, 3n), 0, /more than the 2 bytes/],
    ['header length above the limit', makeFile('{}', 0, 100_000_001n), 0, /above the limit/],
    ['header length 2^64 - 1', makeFile('{}', 0, 2n ** 64n - 1n), 0, /above the limit/],
    [
      'header length that cuts the header',
      makeFile(`{"a":${entry(0, 4)}}`, 4, 20n),
      28,
      /header: string without|header: expected/,
    ],
    ['header length that takes in data', makeFile(`{"a":${entry(0, 4)}}`, 4, 57n), 62, /text after the end/],
    ['no opening brace', makeFile(` {}`), 8, /must begin with "\{"/],
    ['an array for a header', makeFile('[]'), 8, /must begin with "\{"/],
    ['not UTF-8', makeFile(invalidUtf8(), 4), 9, /not valid UTF-8/],
    ['half a surrogate pair', makeFile(`{"\\ud800":${entry(0, 4)}}`, 4), 9, /surrogate/],
    ['a control character in a name', makeFile(`{"\n":${entry(0, 4)}}`, 4), 9, /malformed string/],
    ['JSON without an end', makeFile('{"a":'), 13, /end of the text/],
    ['a comma too many', makeFile('{"a":1,}'), 15, /expected "\\""/],
    ['a duplicate tensor', makeFile(`{"a":${entry(0, 4)},"a":${entry(4, 8)}}`, 8), 62, /duplicate key "a"/],
    ['a duplicate name in disguise', makeFile(`{"a":${entry(0, 4)},"\\u0061":${entry(4, 8)}}`, 8), 62, /duplicate/],
    ['a duplicate field', makeFile('{"a":{"dtype":"F32","dtype":"F32"}}'), 28, /duplicate key "dtype"/],
    ['a __proto__ tensor', makeFile(`{"__proto__":${entry(0, 4)}}`, 4), 9, /"__proto__" is not allowed/],
    ['a __proto__ in disguise', makeFile(`{"__pr\\u006fto__":${entry(0, 4)}}`, 4), 9, /"__proto__"/],
    ['a __proto__ field', makeFile('{"a":{"__proto__":{}}}'), 14, /"__proto__"/],
    ['a __proto__ in the metadata', makeFile('{"__metadata__":{"__proto__":"x"}}'), 25, /"__proto__"/],
    ['an integer above 2^53', makeFile(`{"a":{"shape":[9007199254740993]}}`), 23, /above 2\^53/],
    ['an integer of many digits', makeFile(`{"a":{"shape":[${'9'.repeat(400)}]}}`), 23, /above 2\^53/],
    ['a negative integer', makeFile('{"a":{"shape":[-1]}}'), 23, /got "-"/],
    ['a fraction', makeFile('{"a":{"shape":[1.0]}}'), 24, /got "\."/],
    ['an exponent', makeFile('{"a":{"shape":[1e3]}}'), 24, /got "e"/],
    ['a leading zero', makeFile('{"a":{"shape":[01]}}'), 23, /leading zero/],
    ['null', makeFile('{"a":null}'), 13, /got "n"/],
    ['deep nesting', makeFile(`{"a":${'['.repeat(100_000)}`), 21, /deeper than 8/],
    ['metadata that is not an object', makeFile('{"__metadata__":[]}'), 8, /must be an object of strings/],
    ['metadata that is not a string', makeFile('{"__metadata__":{"a":1}}'), 8, /"a" must be a string/],
    ['an entry that is not an object', makeFile('{"a":[]}'), 8, /must be an object/],
    ['no dtype', makeFile('{"a":{"shape":[],"data_offsets":[0,4]}}', 4), 8, /no dtype/],
    ['no shape', makeFile('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4), 8, /needs a shape/],
    ['no offsets', makeFile('{"a":{"dtype":"F32","shape":[]}}', 4), 8, /two integer data_offsets/],
    ['one offset', makeFile('{"a":{"dtype":"F32","shape":[],"data_offsets":[4]}}', 4), 8, /two integer data_offsets/],
    ['an unknown field', makeFile('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1}}', 4), 8, /field "x"/],
    ['a shape of another size', makeFile(`{"a":${entry(0, 8, [3])}}`, 8), 8, /needs 12 bytes/],
    ['a dtype of another size', makeFile(`{"a":${entry(0, 8, [2], 'F64')}}`, 8), 8, /needs 16 bytes/],
    ['offsets in reverse', makeFile(`{"a":${entry(4, 0, [1])}}`, 4), 8, /needs 4 bytes/],
    ['a shape whose product overflows', makeFile(`{"a":${entry(0, 0, [2 ** 52, 2 ** 52])}}`), 8, /larger than 2\^53/],
    ['a product that overflows before a zero', makeFile(`{"a":${entry(0, 0, [2 ** 52, 4, 0])}}`), 8, /larger than/],
    ['a size that overflows in bytes', makeFile(`{"a":${entry(0, 0, [2 ** 51])}}`), 8, /larger than/],
    [
      'an offset beyond the file',
      makeFile(`{"a":${entry(4, 8)}}`, 4),
      8,
      /ends at data offset 8, the file's data at 4/,
    ],
    ['overlapping tensors', makeFile(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12), 120, /"b" overlaps/],
    ['the same bytes twice', makeFile(`{"a":${entry(0, 8)},"b":${entry(0, 8)}}`, 8), 115, /"b" overlaps/],
    ['a gap at the start', makeFile(`{"a":${entry(4, 8)}}`, 8), 66, /"a" leaves a gap of 4 bytes/],
    ['a gap between', makeFile(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12), 124, /"b" leaves a gap of 4 bytes/],
    ['trailing bytes', makeFile(`{"a":${entry(0, 4)}}`, 5), 66, /1 trailing bytes/],
    ['data without tensors', makeFile('{}', 1), 10, /1 trailing bytes/],
  ])('%s', async (_, bytes, offset, reason) => {
    const error = await readSafetensors(bytes).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.reason).toMatch(reason);
    expect(error).toMatchObject({ file: '(memory)', offset });
    expect(error.message).toBe(`(memory): byte ${offset}: ${error.reason}`);
  });
});

describe('reading', () => {
  it('reads every dtype as the Python library wrote it', async () => {
    const { tensors, metadata } = await readSafetensors(fixturePath('dtypes.safetensors'));
    for (const [dtype, expected] of Object.entries(expectedValues)) {
      expect(tensors[dtype]).toMatchObject({ dtype, shape: [2, 3] });
      expect([...toFloat32(tensors[dtype]!)]).toEqual(expected.map(Math.fround));
    }
    expect(tensors.scalar).toEqual({ dtype: 'F32', shape: [], data: Float32Array.of(2.5) });
    expect(tensors.empty).toMatchObject({ shape: [0, 4] });
    expect({ ...metadata }).toEqual({ format: 'pt', note: 'ramp é' });
    expect([Object.getPrototypeOf(tensors), Object.getPrototypeOf(metadata)]).toEqual([null, null]);
  });

  it('accepts an empty file, spaces behind the header and empty tensors between others', async () => {
    expect(await readSafetensors(makeFile('{}   '))).toMatchObject({ tensors: {}, metadata: {} });
    const file = makeFile(`{"z":${entry(4, 4, [0])},"b":${entry(4, 8)},"a":${entry(0, 4)}} `, 8);
    expect(Object.keys((await readSafetensors(file)).tensors)).toEqual(['z', 'b', 'a']);
  });

  it('treats names of object methods as names', async () => {
    const { tensors } = await readSafetensors(makeFile(`{"constructor":${entry(0, 4)},"toString":${entry(4, 8)}}`, 8));
    expect(Object.keys(tensors)).toEqual(['constructor', 'toString']);
  });

  it('reads rows, and reports which do not exist', async () => {
    const file = await openSafetensors(fixturePath('dtypes.safetensors'));
    const row = await file.readRows('I16', 1, 2);
    expect(row).toEqual({ dtype: 'I16', shape: [1, 3], data: Int16Array.of(4, 5, 6) });
    await expect(file.readRows('I16', 1, 3)).rejects.toThrow('I16 of shape [2, 3] has no rows 1 to 3');
    await expect(file.readRows('scalar', 0, 1)).rejects.toThrow('has no rows');
    await expect(file.read('missing')).rejects.toThrow('no tensor is named "missing"');
    await file.close();
  });

  it('reads beyond 4 GiB', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'large.safetensors');
      const gap = 5 * 2 ** 30;
      const header = makeFile(
        `{"large":${entry(0, gap, [gap / 2 ** 20, 2 ** 20], 'U8')},"last":${entry(gap, gap + 8)}}`,
      );
      const handle = await open(path, 'w');
      await handle.write(header);
      const end = Float32Array.of(1.5, -2.5); // the rest stays a hole that takes no room on the disk
      await handle.write(new Uint8Array(end.buffer), 0, 8, header.length + gap);
      await handle.write(Uint8Array.of(7), 0, 1, header.length + gap - 1);
      await handle.close();
      const file = await openSafetensors(path);
      expect(await file.read('last')).toEqual({ dtype: 'F32', shape: [2], data: end });
      const rows = await file.readRows('large', gap / 2 ** 20 - 1, gap / 2 ** 20);
      expect([rows.shape, rows.data.at(-1), rows.data.at(-2)]).toEqual([[1, 2 ** 20], 7, 0]);
      await file.close();
    }));
});

describe('types that cannot be represented', () => {
  it('are described, and keep nothing else from being read', async () => {
    const file = await openSafetensors(fixturePath('float8.safetensors'));
    expect(file.tensors.q).toMatchObject({ dtype: 'F8_E4M3' });
    expect((await file.read('w')).dtype).toBe('F32');
    const error = await file.read('q').catch((thrown) => thrown);
    expect(error).toMatchObject({ name: 'FileFormatError', isSound: true });
    expect(error.reason).toBe(
      'tensor "q" has the type "F8_E4M3", which cannot be read: convert it to F32 or BF16 before',
    );
    await expect(file.readRows('q', 0, 1)).rejects.toThrow('which cannot be read');
    await file.close();
    await expect(readSafetensors(fixturePath('float8.safetensors'))).rejects.toThrow('tensor "q" has the type');
  });

  it.each([
    ['C64', [2], 16],
    ['F8_E8M0', [3, 2], 6],
    ['F4', [3], 2],
    ['F6_E2M3', [4], 3],
    ['I4', [7], 4], // of a size that is not known here
    ['F128', [1], 16],
    ['toString', [1], 1],
  ])('%s', async (dtype, shape, bytes) => {
    const header = `{"a":${entry(0, bytes, shape, dtype)},"b":${entry(bytes, bytes + 4)}}`;
    const file = await openSafetensors(makeFile(header, bytes + 4));
    expect(file.tensors.a).toMatchObject({ dtype, shape, byteLength: bytes });
    expect((await file.read('b')).data).toEqual(new Float32Array(1));
    await expect(file.read('a')).rejects.toThrow(FileFormatError);
  });

  it.each([
    ['C64', [2], 15],
    ['F8_E4M3', [2 ** 40, 2 ** 40], 4],
    ['F4', [3], 1],
  ])('are refused where their size is wrong: %s', async (dtype, shape, bytes) => {
    const file = makeFile(`{"a":${entry(0, bytes, shape, dtype)}}`, bytes);
    await expect(openSafetensors(file)).rejects.toThrow(FileFormatError);
  });

  it('leave no bytes that belong to no tensor', async () => {
    await expect(openSafetensors(makeFile(`{"a":${entry(0, 4, [9], 'I4')}}`, 8))).rejects.toThrow('trailing bytes');
    const overlap = `{"a":${entry(0, 6, [9], 'I4')},"b":${entry(4, 8)}}`;
    await expect(openSafetensors(makeFile(overlap, 8))).rejects.toThrow('overlaps');
    await expect(openSafetensors(makeFile(`{"a":${entry(4, 0, [9], 'I4')}}`, 4))).rejects.toThrow(FileFormatError);
  });
});

describe('writing', () => {
  const arbitraryTensor = fc
    .record({
      dtype: fc.constantFrom<DType>('F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U64', 'U32', 'U16', 'U8'),
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
    })
    .map(({ dtype, shape }): HostTensor => {
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i);
      return { dtype, shape, data: fromFloat32(values, dtype) };
    });
  const name = fc.string({ unit: 'grapheme' }).filter((each) => !['__proto__', '__metadata__'].includes(each));

  it('comes back equal', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'model.safetensors');
      const property = fc.asyncProperty(
        fc.dictionary(name, arbitraryTensor, { noNullPrototype: true }),
        fc.dictionary(name, fc.string({ unit: 'grapheme' }), { noNullPrototype: true }),
        async (tensors, metadata) => {
          await writeSafetensors(path, tensors, { metadata });
          const read = await readSafetensors(path);
          expect({ ...read.tensors }).toEqual(tensors);
          expect({ ...read.metadata }).toEqual(metadata);
        },
      );
      await fc.assert(property, { numRuns: 50 });
    }));

  it('gives the bytes of the Python library', () =>
    withFolder(async (folder) => {
      // The library orders by dtype and then by name; with one dtype per element size the two orders are the same.
      const { tensors } = await readSafetensors(fixturePath('one-dtype-per-size.safetensors'));
      const path = join(folder, 'again.safetensors');
      await writeSafetensors(path, tensors, { metadata: { format: 'pt' } });
      expect(await readFile(path)).toEqual(await readFile(fixturePath('one-dtype-per-size.safetensors')));
    }));

  it('refuses tensors that disagree with themselves, and reserved names', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'bad.safetensors');
      const good: HostTensor = { dtype: 'F32', shape: [2], data: new Float32Array(2) };
      const write = (tensors: Record<string, HostTensor>) => writeSafetensors(path, tensors);
      await expect(write({ a: { ...good, shape: [3] } })).rejects.toThrow('tensor "a": shape must hold 2 elements');
      await expect(write({ a: { ...good, dtype: 'F64' } })).rejects.toThrow('must be Float64Array, got Float32Array');
      await expect(write({ __metadata__: good })).rejects.toThrow('cannot name a tensor');
      await expect(writeSafetensors(path, {}, { metadata: { a: '\ud800' } })).rejects.toThrow(
        'metadata "a" must not hold half a surrogate pair', // no reader accepts it
      );
      await expect(writeSafetensors(path, {}, { metadata: { a: 1 as unknown as string } })).rejects.toThrow(
        'metadata "a" must be a string, got number',
      );
    }));
});
