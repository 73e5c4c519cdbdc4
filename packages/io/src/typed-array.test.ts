import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { writeFileAtomic } from './atomic-file.js';
import { type ByteInput, nameOf } from './byte-source.js';
import { readCheckpoint, readStateDict } from './checkpoint.js';
import { fromFloat32, toFloat32 } from './float-conversion.js';
import type { HostTensor } from './host-tensor.js';
import { readNpy, writeNpy } from './npy.js';
import { isSafetensors, readSafetensors } from './safetensors-reader.js';
import { writeSafetensors } from './safetensors-writer.js';
import { fixtureBytes, withFolder } from './testing/fixtures.js';
import { bytesIn, typedArrayName } from './typed-array.js';

/** An array of another realm, as workers under Jest, iframes and native modules make them. */
const foreign = (kind: string, values: ArrayLike<number | bigint>) =>
  runInNewContext(`${kind}.from(values)`, { values }) as never;

class Bytes extends Uint8Array {
  override get [Symbol.toStringTag](): 'Uint8Array' {
    return 'Bytes' as 'Uint8Array';
  }
}

it('recognizes arrays by what they are', () => {
  expect(typedArrayName(foreign('Float32Array', [1]))).toBe('Float32Array');
  expect(typedArrayName(new Bytes(1))).toBe('Uint8Array');
  expect(typedArrayName(Buffer.from('a'))).toBe('Uint8Array');
  const others = [[], {}, null, undefined, 'a', 1, new ArrayBuffer(1), new DataView(new ArrayBuffer(1))];
  for (const value of [...others, { [Symbol.toStringTag]: 'Uint8Array', length: 1 }]) {
    expect(typedArrayName(value)).toBeUndefined();
    expect(bytesIn(value)).toBeUndefined();
  }
});

it('reads bytes of every realm', async () => {
  for (const make of [(bytes: Uint8Array) => foreign('Uint8Array', bytes), (bytes: Uint8Array) => new Bytes(bytes)]) {
    const safetensors = make(fixtureBytes('dtypes.safetensors'));
    expect(isSafetensors(safetensors)).toBe(true);
    expect(nameOf(safetensors)).toBe('(memory)');
    expect((await readSafetensors(safetensors)).tensors).toEqual(
      (await readSafetensors(fixtureBytes('dtypes.safetensors'))).tensors,
    );
    expect(await readStateDict(make(fixtureBytes('layouts.pth')))).toEqual(
      await readStateDict(fixtureBytes('layouts.pth')),
    );
    expect(await readNpy(make(fixtureBytes('plain.npy')))).toEqual(await readNpy(fixtureBytes('plain.npy')));
  }
  for (const value of [undefined, 5, {}, new ArrayBuffer(8), new Uint16Array(8)])
    await expect(readCheckpoint(value as unknown as ByteInput)).rejects.toThrow(TypeError);
});

it('writes arrays of every realm, and nothing in place of what is not bytes', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'file');
    await writeFileAtomic(path, foreign('Uint8Array', [1, 2, 3]));
    await writeFileAtomic(path, [foreign('Uint8Array', [4]), new Bytes([5])]);
    expect([...(await readFile(path))]).toEqual([4, 5]);
    for (const content of [Float32Array.of(1), [[1, 2]], [Float32Array.of(1)], new DataView(new ArrayBuffer(2))])
      await expect(writeFileAtomic(path, content as never)).rejects.toThrow('must be text or Uint8Arrays');
    expect([...(await readFile(path))]).toEqual([4, 5]);
    const tensor: HostTensor = { dtype: 'F32', shape: [2], data: foreign('Float32Array', [1.5, -2]) };
    const wide: HostTensor = { dtype: 'I64', shape: [2], data: foreign('BigInt64Array', [1n, -2n]) };
    expect([...toFloat32(tensor), ...toFloat32(wide)]).toEqual([1.5, -2, 1, -2]);
    await writeSafetensors(path, { tensor, wide });
    expect((await readSafetensors(path)).tensors.tensor!.data).toEqual(Float32Array.of(1.5, -2));
    await writeNpy(path, tensor);
    expect((await readNpy(path)).data).toEqual(Float32Array.of(1.5, -2));
  }));

it('converts float32 numbers alone', () => {
  expect(fromFloat32(foreign('Float32Array', [1, -2]), 'BF16')).toEqual(Uint16Array.of(0x3f80, 0xc000));
  for (const values of [Float64Array.of(1, 2), [1, 2], foreign('Float64Array', [1])])
    expect(() => fromFloat32(values as unknown as Float32Array, 'BF16')).toThrow('values must be a Float32Array');
});
