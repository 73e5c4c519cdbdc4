import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { readSafetensors, readStateDict } from '../src/index.js';
import { fixturePath, withFolder } from '../src/testing/fixtures.js';

const { argv } = process;

afterEach(() => {
  process.argv = argv;
  vi.restoreAllMocks();
});

it('converts a checkpoint', () =>
  withFolder(async (folder) => {
    const target = join(folder, 'weights.safetensors');
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    process.argv = ['node', 'example', fixturePath('training-protocol-2.pth'), 'state_dict', target];
    await import('../examples/convert-checkpoint.js');
    expect(log.mock.calls.flat()).toContain('running_mean F32 [2]');
    const { tensors, metadata } = await readSafetensors(target);
    expect({ ...metadata }).toEqual({ format: 'pt' });
    expect({ ...tensors }).toEqual({ ...(await readStateDict(fixturePath('training-protocol-2.pth'), 'state_dict')) });
  }));
