import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileFormatError } from './file-format-error.js';
import { toFloat32 } from './float-conversion.js';
import type { HostTensor } from './host-tensor.js';
import { openNpz, readNpz, writeNpz } from './npz.js';
import { expectedValues, fixtureBytes, fixturePath, withFolder } from './testing/fixtures.js';

const image = (i: number) => Uint8Array.from({ length: 12 }, (_, j) => i + j);

function* images(count: number) {
  for (let i = 0; i < count; i++) yield image(i);
}

describe('readNpz', () => {
  it.each(['dtypes.npz', 'compressed.npz'])('reads every dtype of %s', async (name) => {
    const { zeros, ...arrays } = await readNpz(fixturePath(name));
    expect(Object.keys(arrays).sort()).toEqual(
      Object.keys(expectedValues)
        .filter((dtype) => dtype !== 'BF16')
        .sort(),
    );
    for (const [dtype, array] of Object.entries(arrays)) {
      expect(array).toMatchObject({ dtype, shape: [2, 3] });
      expect([...toFloat32(array)]).toEqual(expectedValues[dtype]!.map(Math.fround));
    }
    if (zeros !== undefined) expect(zeros).toEqual({ dtype: 'F32', shape: [300, 100], data: new Float32Array(30_000) });
  });

  it('reads zip64 members', async () => {
    const { arr_0: grid } = await readNpz(fixturePath('zip64.npz'));
    expect(grid).toMatchObject({ dtype: 'F32', shape: [2, 3, 4] });
    expect(grid!.data[23]).toBe(23);
  });

  it('keeps to the cap for all arrays together', async () => {
    await expect(readNpz(fixturePath('compressed.npz'), { maxBytes: 119_999 })).rejects.toThrow(/exceed the limit/);
    await expect(readNpz(fixturePath('dtypes.npz'), { maxBytes: 150 })).rejects.toThrow(/exceed the limit/);
  });

  it('finds a flipped bit by the checksum', async () => {
    const bytes = fixtureBytes('dtypes.npz');
    bytes[Buffer.from(bytes).indexOf(Buffer.from([1, 2, 3, 4, 5, 6]))]! ^= 1; // an array of bytes
    await expect(readNpz(bytes)).rejects.toThrow(/wrong checksum/);
  });

  it('names the array and the fault inside a member', async () => {
    const bytes = fixtureBytes('zip64.npz');
    const error = await readNpz(bytes.slice(0, 40)).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.message).toBe('(memory): byte 40: no zip end-of-directory record: not a zip file, or cut short');
    await withFolder(async (folder) => {
      const path = join(folder, 'text.npz');
      const text: HostTensor = { dtype: 'U8', shape: [4], data: Uint8Array.of(1, 2, 3, 4) };
      await writeNpz(path, { text });
      const handle = await open(path, 'r+');
      await handle.write(Buffer.from('JUNKY'), 0, 5, 30 + 'text.npy'.length + 20 + 1);
      await handle.close();
      await expect(readNpz(path)).rejects.toThrow(/array "text.npy": at its byte 0: is not npy data/);
    });
  });
});

describe.each([{ compress: false }, { compress: true }])('writeNpz with %o', (options) => {
  it('writes arrays that come image by image, and reads them in batches', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'samples.npz');
      const labels: HostTensor = {
        dtype: 'I64',
        shape: [10],
        data: BigInt64Array.from({ length: 10 }, (_, i) => BigInt(i)),
      };
      await writeNpz(path, { arr_0: { dtype: 'U8', shape: [10, 2, 2, 3], data: images(10) }, arr_1: labels }, options);
      const { arr_0: samples, arr_1: read } = await readNpz(path);
      expect(samples).toEqual({
        dtype: 'U8',
        shape: [10, 2, 2, 3],
        data: Uint8Array.from([...images(10)].flatMap((each) => [...each])),
      });
      expect(read).toEqual(labels);

      const file = await openNpz(path);
      expect(file.names).toEqual(['arr_0', 'arr_1']);
      const batches = [];
      for await (const batch of file.batches('arr_0', 4)) batches.push(batch);
      expect(batches.map(({ shape }) => shape)).toEqual([
        [4, 2, 2, 3],
        [4, 2, 2, 3],
        [2, 2, 2, 3],
      ]);
      expect(batches[2]!.data.subarray(12)).toEqual(image(9));
      await file.close();
    }));

  it('writes empty arrays and empty runs', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'empty.npz');
      const none: HostTensor = { dtype: 'F32', shape: [0, 4], data: new Float32Array(0) };
      const runs = [new Uint8Array(0), image(0), new Uint8Array(0)];
      await writeNpz(path, { none, some: { dtype: 'U8', shape: [12], data: runs } }, options);
      expect(await readNpz(path)).toEqual({ none, some: { dtype: 'U8', shape: [12], data: image(0) } });
    }));

  it('leaves no file when the images stop early', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'samples.npz');
      const tooFew = { dtype: 'U8' as const, shape: [10, 2, 2, 3], data: images(9) };
      await expect(writeNpz(path, { arr_0: tooFew }, options)).rejects.toThrow('must have 120 elements, got 108');
      await expect(open(path)).rejects.toThrow('ENOENT');
    }));
});

it('reads batches of a stored array behind 4 GiB', () =>
  withFolder(async (folder) => {
    // Two arrays: a hole of 4 GiB that takes no room on the disk, and a small one behind it.
    const path = join(folder, 'large.npz');
    const small: HostTensor = { dtype: 'F32', shape: [2], data: Float32Array.of(1.5, -2.5) };
    await writeNpz(path, { small });
    const written = await readBytes(path);
    const gap = 2 ** 32 + 4096;
    const handle = await open(path, 'w');
    // The member moves behind the gap; so do the offsets of its directory entry, of the directory and of its end record.
    await handle.write(shiftArchive(written, gap), 0, written.length, gap);
    await handle.close();
    expect(await readNpz(path)).toEqual({ small });
  }));

async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const handle = await open(path);
  const bytes = new Uint8Array(await handle.readFile());
  await handle.close();
  return bytes;
}

/** Adds `gap` to the three offsets of a zip64 archive with one member. */
function shiftArchive(bytes: Uint8Array<ArrayBuffer>, gap: number): Uint8Array {
  const view = new DataView(bytes.buffer);
  const end64 = bytes.length - 22 - 20 - 56;
  const directory = Number(view.getBigUint64(end64 + 48, true));
  const headerOffset = directory + 46 + view.getUint16(directory + 28, true) + 4 + 16;
  for (const at of [headerOffset, end64 + 48, end64 + 56 + 8]) {
    view.setBigUint64(at, view.getBigUint64(at, true) + BigInt(gap), true);
  }
  return bytes;
}
