import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { memorySource } from './byte-source.js';
import { openCheckpoint, readCheckpoint, readStateDict } from './checkpoint.js';
import { FileFormatError } from './file-format-error.js';
import { toFloat32 } from './float-conversion.js';
import type { HostTensor } from './host-tensor.js';
import { CheckpointTensor, PickledGlobal, PickledObject } from './pickle-values.js';
import { expectedValues, fixtureBytes, fixturePath } from './testing/fixtures.js';

// biome-ignore lint/suspicious/noExplicitAny: the structure of each fixture is known to its test.
const read = (name: string): Promise<any> => readCheckpoint(fixturePath(name));

const values = (tensor: HostTensor): number[] => [...toFloat32(tensor)];

describe('tensors written by torch.save', () => {
  it.each(['dtypes.pth', 'deflated.pth', 'legacy-dtypes.pth'])('reads every dtype of %s', async (name) => {
    const tensors = await readStateDict(fixturePath(name));
    expect(Object.keys(tensors).sort()).toEqual(Object.keys(expectedValues).sort());
    for (const [dtype, expected] of Object.entries(expectedValues)) {
      expect(tensors[dtype]).toMatchObject({ dtype, shape: [2, 3] });
      expect(values(tensors[dtype]!)).toEqual(expected.map(Math.fround));
    }
  });

  it('gathers views of a shared storage into row-major order', async () => {
    const tensors = await readStateDict(fixturePath('layouts.pth'));
    const at = (plane: number, row: number, column: number) => plane * 12 + row * 4 + column;
    const transposed = [0, 1, 2, 3].flatMap((c) => [0, 1].flatMap((p) => [0, 1, 2].map((r) => at(p, r, c))));
    const column = [0, 1].flatMap((p) => [0, 1, 2].map((r) => at(p, r, 1)));
    expect(tensors.whole).toMatchObject({ shape: [2, 3, 4] });
    expect(values(tensors.whole!)).toEqual(Array.from({ length: 24 }, (_, i) => i));
    expect(tensors.transposed).toMatchObject({ shape: [4, 2, 3] });
    expect(values(tensors.transposed!)).toEqual(transposed);
    expect(values(tensors.row!)).toEqual(Array.from({ length: 12 }, (_, i) => 12 + i));
    expect(values(tensors.column!)).toEqual(column);
    expect(values(tensors.step!)).toEqual([1, 6, 11, 16, 21]);
    expect(values(tensors.expanded!)).toEqual([7, 7, 7, 7, 7, 7]);
    expect(tensors.scalar).toEqual({ dtype: 'F32', shape: [], data: Float32Array.of(2.5) });
    expect(tensors.empty).toEqual({ dtype: 'F32', shape: [0, 4], data: new Float32Array(0) });
    expect(values(tensors.parameter!)).toEqual([1, 2]);
  });

  it('reads of a storage what a tensor needs, having checked all of it once', async () => {
    const source = memorySource(fixtureBytes('layouts.pth'));
    const reads: number[] = [];
    const counting = {
      ...source,
      read: (offset: number, length: number) => {
        reads.push(length);
        return source.read(offset, length);
      },
    };
    const checkpoint = await openCheckpoint(counting);
    reads.length = 0;
    const { row } = checkpoint.value as Record<string, CheckpointTensor>;
    expect(row).toBeInstanceOf(CheckpointTensor);
    await row!.read();
    await row!.read();
    expect(reads.filter((length) => length === 12 * 4)).toHaveLength(2);
    expect(reads.filter((length) => length === 24 * 4)).toHaveLength(1); // all of the storage, for its checksum
  });
});

describe.each([2, 3, 4, 5])('a training checkpoint in pickle protocol %i', (protocol) => {
  it('comes out as plain data', async () => {
    const checkpoint = await read(`training-protocol-${protocol}.pth`);
    expect(Object.keys(checkpoint.state_dict)).toContain('running_mean');
    expect(checkpoint.state_dict.num_batches_tracked).toEqual({ dtype: 'I64', shape: [], data: BigInt64Array.of(0n) });
    expect(checkpoint.optimizer.param_groups[0]).toMatchObject({ lr: 1e-3, betas: [0.9, 0.999], params: [0, 1] });
    expect(checkpoint.hyper_parameters).toMatchObject({
      big: 2n ** 70n,
      negative: -(2 ** 40),
      flags: [true, false, null],
      set: new Set([1, 2]),
      raw: Uint8Array.of(0, 255),
    });
    expect(checkpoint.size).toEqual([2, 3]);
    expect(checkpoint.dtype).toEqual(new PickledGlobal('torch.float32'));
    expect([...checkpoint.nested]).toEqual([
      [
        ['a', 1],
        [1, [2, expect.objectContaining({ deep: 3.5 })]],
      ],
    ]);
    expect(checkpoint.counts).toMatchObject({ x: 1 });
  });

  it('keeps objects of unknown classes as data', async () => {
    const { args, device } = await read(`training-protocol-${protocol}.pth`);
    expect(args).toBeInstanceOf(PickledObject);
    expect(args).toMatchObject({ className: 'argparse.Namespace', state: { lr: 1e-3, names: ['a', 'b'] } });
    expect(args.state.output).toMatchObject({ className: 'pathlib.PosixPath', constructorArguments: ['out'] });
    expect(device).toMatchObject({ className: 'torch.device', constructorArguments: ['cpu'] });
  });

  it('reads NumPy scalars and arrays', async () => {
    const { score, count, array, fortran } = await read(`training-protocol-${protocol}.pth`);
    expect([score, count]).toEqual([0.25, 3]);
    expect(array).toEqual({ dtype: 'I32', shape: [2, 3], data: Int32Array.of(0, 1, 2, 3, 4, 5) });
    expect(fortran).toEqual({ dtype: 'F32', shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) });
  });
});

it('loads the part that is asked for', async () => {
  const checkpoint = await openCheckpoint(fixturePath('training-protocol-4.pth'));
  expect(await checkpoint.load('optimizer', 'param_groups', 0, 'betas')).toEqual([0.9, 0.999]);
  expect(await checkpoint.load('state_dict', 'weight')).toEqual({
    dtype: 'F32',
    shape: [2],
    data: Float32Array.of(1, 1),
  });
  await expect(checkpoint.load('optimizer', 'param_groups', 1)).rejects.toThrow('no part is named 1; there are: 0');
  await checkpoint.close();
});

describe('refusals', () => {
  it.each([
    ['hostile-system.pth', /global (posix|nt)\.system is not on the allow-list/],
    ['hostile-method.pth', /global .*getattr is not on the allow-list/],
    ['legacy-hostile.pth', /global (posix|nt)\.system is not on the allow-list/],
    ['torchscript.pt', /TorchScript archive/],
    ['plain.npy', /not a PyTorch checkpoint/],
    ['dtypes.npz', /needs one data\.pkl/],
  ])('%s', async (name, reason) => {
    const error = await read(name).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.message).toMatch(reason);
    expect(error.file).toBe(fixturePath(name));
    expect(existsSync('executed')).toBe(false);
  });

  it('keeps unknown calls as data when asked to, and runs nothing', async () => {
    const value = await readCheckpoint(fixturePath('hostile-system.pth'), { unknownCalls: 'keep' });
    expect(value).toMatchObject({ model: { className: 'posix.system', constructorArguments: ['touch executed'] } });
    expect(existsSync('executed')).toBe(false);
  });

  it('finds a flipped bit by the checksum', async () => {
    const bytes = fixtureBytes('dtypes.pth');
    bytes[Buffer.from(bytes).indexOf(Buffer.from([1, 2, 3, 4, 5, 6]))]! ^= 1; // a uint8 storage
    await expect(readCheckpoint(bytes)).rejects.toThrow(/wrong checksum/);
  });

  it('finds a flipped bit in the part of a storage that a tensor does not use, or uses', async () => {
    await expect(readCheckpoint(fixturePath('damaged/part-of-storage.pth'))).rejects.toThrow(/wrong checksum/);
    const original = fixtureBytes('layouts.pth');
    const begin = Buffer.from(original).indexOf(Buffer.from(Float32Array.of(0, 1, 2, 3, 4, 5).buffer));
    for (const at of [begin, begin + 12 * 4, begin + 23 * 4]) {
      const bytes = original.slice();
      bytes[at]! ^= 4;
      const checkpoint = await openCheckpoint(bytes);
      const { row, whole, scalar } = checkpoint.value as Record<string, CheckpointTensor>;
      await expect(row!.read()).rejects.toThrow(/wrong checksum/);
      await expect(row!.read()).rejects.toThrow(/wrong checksum/);
      await expect(whole!.read()).rejects.toThrow(/wrong checksum/);
      await scalar!.read(); // of another storage
    }
  });

  it('bounds the memory that a small file can ask for', async () => {
    await expect(readCheckpoint(fixturePath('layouts.pth'), { maxBytes: 100 })).rejects.toThrow(/raise maxBytes/);
  });

  it('lists what there is when a state dict is missing', async () => {
    const path = fixturePath('training-protocol-2.pth');
    await expect(readStateDict(path, 'model')).rejects.toThrow(
      /no part is named "model"; there are: state_dict, optimizer/,
    );
    await expect(readStateDict(path)).rejects.toThrow(
      /"state_dict" is not a tensor of a state dict; name the part to read: state_dict, optimizer/,
    );
    await expect(readStateDict(path, 'score')).rejects.toThrow(/"score" is not a state dict, but a number/);
  });
});
