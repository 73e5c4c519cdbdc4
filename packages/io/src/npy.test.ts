import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileFormatError } from './file-format-error.js';
import type { HostTensor } from './host-tensor.js';
import { readNpy, writeNpy } from './npy.js';
import { fixtureBytes, fixturePath, withFolder } from './testing/fixtures.js';

const grid = { dtype: 'F32', shape: [2, 3, 4], data: Float32Array.from({ length: 24 }, (_, i) => i) };

/** An npy file of this header text and `dataBytes` zeros. */
function makeNpy(header: string, dataBytes = 0): Uint8Array {
  const file = new Uint8Array(10 + header.length + dataBytes);
  file.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, header.length & 255, header.length >> 8]);
  file.set(new TextEncoder().encode(header), 10);
  return file;
}

const dict = (descr: string, shape: string, order = 'False') =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

describe('readNpy', () => {
  it.each(['plain', 'fortran', 'big-endian', 'version-2', 'version-3'])('reads %s as NumPy wrote it', async (name) => {
    expect(await readNpy(fixturePath(`${name}.npy`))).toEqual(grid);
  });

  it('reads scalars and vectors', async () => {
    expect(await readNpy(fixturePath('scalar.npy'))).toEqual({ dtype: 'F64', shape: [], data: Float64Array.of(2.5) });
    const vector = { dtype: 'I64', shape: [3], data: BigInt64Array.of(0n, 1n, 2n) };
    expect(await readNpy(fixturePath('vector.npy'))).toEqual(vector);
  });

  it.each<[string, Uint8Array, number, RegExp]>([
    ['objects', fixtureBytes('objects.npy'), 10, /"\|O": arrays of Python objects are never read/],
    ['records', fixtureBytes('records.npy'), 10, /unsupported npy dtype/],
    ['empty', new Uint8Array(0), 0, /must begin with/],
    ['an unknown version', fixtureBytes('plain.npy').fill(9, 6, 7), 6, /version 9/],
    ['a cut header', fixtureBytes('plain.npy').slice(0, 40), 40, /cut short/],
    ['cut data', fixtureBytes('plain.npy').slice(0, -1), 128, /needs 96 bytes, the file has 95/],
    ['trailing bytes', makeNpy(dict("'<f4'", '(1,)'), 5), 68, /needs 4 bytes, the file has 5/],
    ['a shape of 2^60 elements', makeNpy(dict("'<f4'", '(1073741824, 1073741824)')), 10, /larger than 2\^53/],
    ['a shape above any integer', makeNpy(dict("'<f4'", `(${'9'.repeat(40)},)`)), 10, /malformed npy shape/],
    ['a negative length', makeNpy(dict("'<f4'", '(-1,)')), 10, /must be a dict/],
    ['a shape that is no tuple', makeNpy(dict("'<f4'", '(3)'), 12), 10, /malformed npy shape/],
    ['an order that is not a boolean', makeNpy(dict("'<f4'", '(3,)', "'C'"), 12), 10, /not a boolean/],
    ['a missing field', makeNpy("{'descr': '<f4', 'shape': (3,), }", 12), 10, /must be a dict/],
    ['a field twice', makeNpy("{'shape': (1,), 'shape': (3,), }", 12), 25, /shape twice/],
    ['code in the header', makeNpy("{'descr': '<f4', 'fortran_order': exit(), 'shape': (3,), }"), 10, /must be a dict/],
  ])('refuses %s', async (_, bytes, offset, reason) => {
    const error = await readNpy(bytes).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.reason).toMatch(reason);
    expect(error.offset).toBe(offset);
  });

  it('keeps to the cap', async () => {
    await expect(readNpy(fixturePath('plain.npy'), { maxBytes: 95 })).rejects.toThrow('exceeds the limit of 95 bytes');
  });
});

describe('writeNpy', () => {
  it('gives the bytes of NumPy', () =>
    withFolder(async (folder) => {
      for (const name of ['plain', 'scalar', 'vector']) {
        await writeNpy(join(folder, name), await readNpy(fixturePath(`${name}.npy`)));
        expect(await readFile(join(folder, name))).toEqual(await readFile(fixturePath(`${name}.npy`)));
      }
    }));

  it('refuses data of another length, and bfloat16', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'x.npy');
      const pieces = { dtype: 'F32' as const, shape: [3], data: [Float32Array.of(1), Float32Array.of(2)] };
      await expect(writeNpy(path, pieces)).rejects.toThrow('data of shape [3] must have 3 elements, got 2');
      const brain: HostTensor = { dtype: 'BF16', shape: [1], data: Uint16Array.of(0) };
      await expect(writeNpy(path, brain)).rejects.toThrow('dtype must be one that NumPy has, got BF16');
    }));
});
