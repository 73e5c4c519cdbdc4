import { describe, expect, it } from 'vitest';
import { modelPresets } from '../options/defaults.js';
import { adviseOnMemory, describePlan, planBatch } from './plan-batch.js';

const eight = { backend: 'xla', available: 8 };
const one = { backend: 'wasm', available: 1 };

describe('planBatch', () => {
  it.each([
    [{ batch: 64 }, 1, 1],
    [{ batch: 64, microBatch: 100 }, 1, 1],
    [{ batch: 2048, microBatch: 32 }, 1, 64],
    [{ batch: 2048, microBatch: 32, devices: 8 }, 8, 8],
    [{ batch: 100, microBatch: 32 }, 1, 4], // 25 each
    [{ batch: 8, microBatch: 3, devices: 2 }, 2, 2], // 2 each
    [{ batch: 7, microBatch: 1 }, 1, 7],
  ])('shares %o', (values, devices, microBatches) => {
    expect(planBatch(values, eight)).toMatchObject({ batch: values.batch, devices, microBatches });
  });

  it.each([
    [{ devices: 2 }, one, '--devices 2: backend wasm has one device; several GPUs need --backend xla'],
    [{ devices: 9 }, eight, '--devices 9: backend xla has only 8 devices here'],
    [{ batch: 9, devices: 2 }, eight, '--batch 9 must be a multiple of --devices 2'],
    [{ batch: 127, microBatch: 64 }, eight, /nearly 64 pictures: choose --batch 128, or another --micro-batch than 64/],
    [{ batch: 74, microBatch: 32, devices: 2 }, eight, /nearly 32 pictures on 2 devices: choose --batch 64/],
  ])('refuses %o', (values, machine, message) => {
    expect(() => planBatch(values, machine)).toThrow(message);
  });

  it('takes few pictures at once where memory is short', () => {
    expect(planBatch({ batch: 64 }, one).microBatches).toBe(8);
    expect(planBatch({ batch: 64, microBatch: 64 }, one).microBatches).toBe(1);
    expect(planBatch({ batch: 11 }, one).microBatches).toBe(11);
  });

  it('fits the presets of the paper’s sizes to one GPU and to eight', () => {
    for (const preset of ['base', 'large', 'huge'] as const) {
      for (const devices of [1, 8]) {
        const { batch, microBatches } = planBatch({ ...modelPresets[preset], devices }, eight);
        expect(batch / devices / microBatches).toBe(modelPresets[preset].microBatch);
      }
    }
  });
});

it('says what an update is, and which devices are idle', () => {
  expect(
    describePlan(planBatch({ batch: 2048, microBatch: 32, devices: 2 }, { backend: 'xla', available: 2 })),
  ).toEqual(['batch: 2048 pictures an update, 1024 on each of 2 devices, in 32 micro-batches of 32']);
  expect(describePlan(planBatch({ batch: 1 }, eight))).toEqual([
    'batch: 1 picture an update',
    '1 of 8 devices at work: --devices 8 shares each batch among all of them',
  ]);
});

it('says what to do when the memory is exhausted, and nothing about other errors', () => {
  const plan = planBatch({ batch: 64, microBatch: 32 }, one);
  const exhausted = Object.assign(new Error('out of memory'), { code: 'RESOURCE_EXHAUSTED' });
  expect((adviseOnMemory(exhausted, plan) as Error).message).toMatch(/^out of memory\n.*--micro-batch below 32/);
  const other = new Error('other');
  expect(adviseOnMemory(other, plan)).toBe(other);
});
