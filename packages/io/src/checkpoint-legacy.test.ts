import { expect, it } from 'vitest';
import { memorySource } from './byte-source.js';
import { openCheckpoint, readCheckpoint, readStateDict } from './checkpoint.js';
import { toFloat32 } from './float-conversion.js';
import { type CheckpointTensor, PickledObject } from './pickle-values.js';
import { fixtureBytes, fixturePath } from './testing/fixtures.js';

const MAGIC = fixtureBytes('legacy-layouts.pth').subarray(0, 15);
const VERSION = Uint8Array.of(0x80, 2, 0x4d, 0xe9, 0x03, 0x2e);
const machine = (littleEndian: boolean) =>
  Buffer.from(`\x80\x02}X\x0d\0\0\0little_endian${littleEndian ? '\x88' : '\x89'}s.`, 'latin1');

/** A file whose value is the pickle body given; `keys` are its storages, which follow. */
function legacyFile(body: Buffer, keys: string[], ...storages: Uint8Array[]): Uint8Array {
  const list = Buffer.concat([Buffer.from('\x80\x02](', 'latin1'), ...keys.map(text), Buffer.from('e.')]);
  return Uint8Array.from(
    Buffer.concat([MAGIC, VERSION, machine(true), Buffer.from([0x80, 2]), body, Buffer.from('.'), list, ...storages]),
  );
}

const text = (value: string) => Buffer.concat([Buffer.from([0x58, value.length, 0, 0, 0]), Buffer.from(value)]);
const latin = (value: string) => Buffer.from(value, 'latin1');

/** `_rebuild_tensor(storage, 1, (2,), (1,))` of a float storage of four elements; `view` describes a part of it. */
const tensorOf = (view: Buffer) =>
  Buffer.concat([
    latin('ctorch._utils\n_rebuild_tensor\n(('),
    text('storage'),
    latin('ctorch\nFloatStorage\n'),
    ...[text('7'), text('cpu'), latin('K\x04'), view, latin('tQK\x01K\x02\x85K\x01\x85tR')],
  ]);

const stored = (count: number, ...values: number[]) =>
  Buffer.concat([Buffer.from(BigInt64Array.of(BigInt(count)).buffer), Buffer.from(Float32Array.from(values).buffer)]);

it('reads views of a shared storage, taking only what each needs', async () => {
  const source = memorySource(fixtureBytes('legacy-layouts.pth'));
  const reads: number[] = [];
  const read = (offset: number, length: number) => {
    reads.push(length);
    return source.read(offset, length);
  };
  const checkpoint = await openCheckpoint({ ...source, read });
  reads.length = 0;
  const { row } = checkpoint.value as Record<string, CheckpointTensor>;
  expect([...toFloat32(await row!.read())]).toEqual(Array.from({ length: 12 }, (_, i) => 12 + i));
  expect(reads).toEqual([12 * 4]);
  const tensors = await readStateDict(fixturePath('legacy-layouts.pth'));
  expect([...toFloat32(tensors.column!)]).toEqual([1, 5, 9, 13, 17, 21]);
  expect(tensors.transposed!.shape).toEqual([4, 2, 3]);
  expect(tensors.empty).toEqual({ dtype: 'F32', shape: [0, 4], data: new Float32Array(0) });
  expect([...toFloat32(tensors.parameter!)]).toEqual([1, 2]);
});

it.each([2, 4])('reads a training checkpoint in pickle protocol %i', async (protocol) => {
  // biome-ignore lint/suspicious/noExplicitAny: the fixture's structure is known.
  const value: any = await readCheckpoint(fixturePath(`legacy-training-protocol-${protocol}.pth`));
  expect(value.state_dict.weight).toEqual({ dtype: 'F32', shape: [2], data: Float32Array.of(1, 1) });
  expect(value.state_dict.num_batches_tracked.data).toEqual(BigInt64Array.of(0n));
  expect(value.optimizer.param_groups[0]).toMatchObject({ lr: 1e-3, params: [0, 1] });
  expect(value.args).toBeInstanceOf(PickledObject);
});

it('keeps a whole module as data, without its source code', async () => {
  const { model } = (await readCheckpoint(fixturePath('legacy-module.pth'))) as { model: PickledObject };
  expect(model).toBeInstanceOf(PickledObject);
  expect(model.className).toMatch(/\.Scale$/);
});

it('reads structures larger than the first bytes it tries', async () => {
  const padding = Buffer.concat(Array.from({ length: 3000 }, (_, i) => text(`entry ${'x'.repeat(90)} ${i}`)));
  const body = Buffer.concat([latin(']('), padding, latin('e')]);
  expect(await readCheckpoint(legacyFile(body, []))).toHaveLength(3000);
});

it('reads parts of storages, as PyTorch before 0.4 wrote them', async () => {
  const whole = await readCheckpoint(legacyFile(tensorOf(latin('N')), ['7'], stored(4, 1, 2, 3, 4)));
  expect(whole).toMatchObject({ shape: [2], data: Float32Array.of(2, 3) });
  const part = Buffer.concat([latin('('), text('8'), latin('K\x01K\x03t')]); // elements 1 to 3
  const view = await readCheckpoint(legacyFile(tensorOf(part), ['7'], stored(4, 1, 2, 3, 4)));
  expect(view).toMatchObject({ shape: [2], data: Float32Array.of(3, 4) });
});

it.each<[string, Uint8Array, RegExp]>([
  ['a part that is too short', partFile(1, 2), /reaches byte 12 of a storage of 8/],
  ['a part beyond its storage', partFile(2, 3), /malformed part of a storage/],
  ['another count', legacyFile(tensorOf(latin('N')), ['7'], stored(5, 1, 2, 3, 4, 5)), /has 5 elements instead of 4/],
  ['a file cut short', legacyFile(tensorOf(latin('N')), ['7'], stored(4, 1, 2)), /ends inside storage "7"/],
  ['a storage that is absent', legacyFile(tensorOf(latin('N')), []), /storage "7" is not in the file/],
  ['a storage of nothing', legacyFile(latin('N'), ['7'], stored(0)), /"7" belongs to no tensor/],
  ['another pickle', Uint8Array.from(latin('\x80\x02N.')), /not a PyTorch checkpoint: the magic number/],
  ['a pickle cut short', MAGIC.slice(0, 8), /ends too early/],
  [
    'another byte order',
    Uint8Array.from(Buffer.concat([MAGIC, VERSION, machine(false), latin('\x80\x02N.\x80\x02].')])),
    /big-endian/,
  ],
  [
    'another version',
    Uint8Array.from(Buffer.concat([MAGIC, latin('\x80\x02M\xea\x03.')])),
    /version 1002 of the format is unsupported/,
  ],
])('refuses %s', async (_, bytes, reason) => {
  await expect(readCheckpoint(bytes)).rejects.toMatchObject({
    name: 'FileFormatError',
    message: expect.stringMatching(reason),
  });
});

/** The tensor of `tensorOf` on the elements from `first` on, `length` of them, of a storage of four. */
function partFile(first: number, length: number): Uint8Array {
  const part = Buffer.concat([latin('('), text('8'), Buffer.from([0x4b, first, 0x4b, length]), latin('t')]);
  return legacyFile(tensorOf(part), ['7'], stored(4, 1, 2, 3, 4));
}
