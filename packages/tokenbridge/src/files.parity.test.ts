import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, readStateDict } from '@tb/io';
import { countParameters, flattenShapes } from '@tb/nn';
import { disposeTree, flattenTree, useBackend } from '@tb/runtime';
import { expectClose, goldenJson, goldenPath, goldenTensors, testBackend } from '@tb/test-utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goldenConfig, goldenModel } from '../test/golden-model.js';
import { loadTokenBridge, saveTokenBridge } from './files.js';
import { type TokenBridge, tokenBridgeShapes } from './model.js';

const description = goldenJson('tokenbridge', 'config.json');
const official: Record<string, number[]> = description.state_dict_names_and_shapes;
const buffers: string[] = description.buffers;
let folder: string;

beforeAll(async () => {
  await useBackend(testBackend);
  folder = await mkdtemp(join(tmpdir(), 'tokenbridge-'));
});
afterAll(() => rm(folder, { recursive: true }));

const leavesOf = (params: TokenBridge) => flattenTree(params);

describe('the parameter tree', () => {
  it('has exactly the official names and shapes', () => {
    const parameters = Object.entries(official).filter(([name]) => !buffers.includes(name));
    expect({ ...flattenShapes(tokenBridgeShapes(goldenConfig())) }).toEqual(Object.fromEntries(parameters));
    expect(countParameters(tokenBridgeShapes(goldenConfig()))).toBe(description.num_params);
  });
});

describe('loadTokenBridge', () => {
  it.each([
    ['model', false],
    ['model_ema', true],
  ])('reads %s of an official checkpoint', async (key, ema) => {
    const { params, config } = await goldenModel({ ema });
    const expected = await readStateDict(goldenPath('tokenbridge', 'checkpoint-last.pth'), key);
    const leaves = leavesOf(params);
    expect(Object.keys(leaves).length).toBe(Object.keys(official).length - buffers.length);
    for (const [name, leaf] of Object.entries(leaves)) expect(leaf.dataSync(), name).toEqual(expected[name].data);
    const { reconstruction_values: values } = await goldenTensors('tokenbridge', 'model.safetensors');
    expect(Float32Array.from(config.quantizer.codebook ?? [])).toEqual(values.data);
    disposeTree(params);
  });

  it('reads the same from safetensors', async () => {
    const path = goldenPath('tokenbridge', 'model.safetensors');
    const fromSafetensors = await loadTokenBridge(path, { config: goldenConfig() });
    const fromCheckpoint = await goldenModel();
    expect(fromSafetensors.config).toEqual(fromCheckpoint.config);
    const expected = leavesOf(fromCheckpoint.params);
    for (const [name, leaf] of Object.entries(leavesOf(fromSafetensors.params)))
      expect(leaf.dataSync(), name).toEqual(expected[name].dataSync());
  });
});

describe('saveTokenBridge', () => {
  it('writes what was read: official names, shapes, values and buffers', async () => {
    const model = await goldenModel();
    const path = join(folder, 'model.safetensors');
    await saveTokenBridge(path, model);
    const { tensors } = await readSafetensors(path);
    expect(new Set(Object.keys(tensors))).toEqual(new Set(Object.keys(official)));
    for (const [name, expected] of Object.entries(await goldenTensors('tokenbridge', 'model.safetensors'))) {
      expect(tensors[name].shape, name).toEqual(expected.shape);
      if (name === 'boundaries') expectClose(tensors[name].data as Float32Array, expected.data as Float32Array, 1e-6);
      else expect(tensors[name].data, name).toEqual(expected.data);
    }
    expect((await loadTokenBridge(path)).config).toEqual(model.config);
  });
});
