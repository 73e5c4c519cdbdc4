import { oneProcess } from '@tb/runtime';
import { describe, expect, it } from 'vitest';
import { resolveModel } from './commands/model/options.js';
import { adviseOnMemory, adviseOnWarmup, describePlan, planBatch as plan, trainOptionsOf } from './training.js';

const planBatch = (values: Partial<Parameters<typeof plan>[0]>, machine: Parameters<typeof plan>[1]) =>
  plan({ batch: 64, devices: 1, ...values }, machine);

const accelerators = (deviceCount: number) => ({
  backend: 'xla',
  traits: {
    compilesPerShape: true,
    runsAhead: true,
    precisions: ['fp32', 'bf16'],
    deviceCount,
    processes: oneProcess,
  } as const,
});
const eight = accelerators(8);
const one = {
  backend: 'wasm',
  traits: { compilesPerShape: false, runsAhead: false, precisions: ['fp32'], deviceCount: 1, processes: oneProcess },
} as const;

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
    [{ batch: 127, microBatch: 64 }, eight, /nearly 64 images: choose --batch 128, or another --micro-batch than 64/],
    [{ batch: 74, microBatch: 32, devices: 2 }, eight, /nearly 32 images on 2 devices: choose --batch 64/],
  ])('refuses %o', (values, machine, message) => {
    expect(() => planBatch(values, machine)).toThrow(message);
  });

  it('takes few images at once where memory is short', () => {
    expect(planBatch({ batch: 64 }, one).microBatches).toBe(8);
    expect(planBatch({ batch: 64, microBatch: 64 }, one).microBatches).toBe(1);
    expect(planBatch({ batch: 11 }, one).microBatches).toBe(11);
  });

  it('fits the presets of the paper’s sizes to one GPU and to eight', async () => {
    for (const preset of ['base', 'large', 'huge'] as const) {
      for (const devices of [1, 8]) {
        const { values } = await resolveModel({ preset, devices });
        const { batch, microBatches } = planBatch(values, eight);
        expect(batch / devices / microBatches).toBe(values.microBatch);
      }
    }
  });
});

it('describes an update, and which devices are idle', () => {
  expect(describePlan(planBatch({ batch: 2048, microBatch: 32, devices: 2 }, accelerators(2)))).toEqual([
    'batch: 2048 images per update, 1024 on each of 2 devices, in 32 micro-batches of 32',
  ]);
  expect(describePlan(planBatch({ batch: 1 }, eight))).toEqual([
    'batch: 1 image per update',
    '1 of 8 devices in use: --devices 8 shares each batch among all of them',
  ]);
});

it('states what to do when the memory is exhausted, and nothing about other errors', () => {
  const halves = planBatch({ batch: 64, microBatch: 32 }, one);
  const exhausted = Object.assign(new Error('out of memory'), { code: 'RESOURCE_EXHAUSTED' });
  expect((adviseOnMemory(exhausted, halves) as Error).message).toMatch(/^out of memory\n.*--micro-batch below 32/);
  const aborted = new WebAssembly.RuntimeError('Aborted(). Build with -sASSERTIONS for more info.');
  expect((adviseOnMemory(aborted, halves) as Error).message).toMatch(
    /^The memory is exhausted: .*--micro-batch below 32/,
  );
  const single = planBatch({ batch: 1 }, one);
  expect((adviseOnMemory(aborted, single) as Error).message).toMatch(/a smaller --image-size needs less/);
  const other = new Error('other');
  expect(adviseOnMemory(other, halves)).toBe(other);
});

describe('adviseOnWarmup', () => {
  const schedule = { kind: 'cosine', peak: 8e-4, minimum: 0, warmup: 200, total: 1000 } as const;

  it('warns of a warm-up that is longer than the run, and of no other', () => {
    expect(adviseOnWarmup(schedule)).toEqual([]);
    expect(adviseOnWarmup({ ...schedule, total: 200 })).toEqual([]);
    expect(adviseOnWarmup({ ...schedule, total: 20 })).toEqual([
      'Warm-up (200 steps) is longer than this run (20 steps): the learning rate reaches only 10% of its target. Try --warmup-steps 2.',
    ]);
  });
});

describe('trainOptionsOf', () => {
  const optionsOf = async (flags: Parameters<typeof resolveModel>[0], samples: number) => {
    const { values } = await resolveModel(flags);
    return trainOptionsOf(values, planBatch(values, one), { samples, drawEvery: 1, config: {} });
  };

  it('counts epochs in updates, and scales the learning rate with the batch', async () => {
    const options = await optionsOf({ epochs: 3, warmupEpochs: 0.5, batch: 128, baseLearningRate: 1e-3 }, 1280);
    expect(options.schedule).toEqual({ kind: 'cosine', peak: 5e-4, minimum: 0, warmup: 5, total: 30 });
    expect((await optionsOf({ learningRate: 1e-5 }, 100)).schedule.peak).toBe(1e-5);
  });

  it.each([
    [
      { epochs: 1 },
      12,
      /^--epochs 1 is too short for --batch 64: 1 epoch of 12 images is less than half a batch.*smaller --batch/,
    ],
    [{ epochs: 0.1, batch: 4 }, 1, /0\.1 epochs of 1 image is less/],
    [{ epochs: 0 }, 100, /^--epochs must be more than 0$/],
  ])('refuses %o of %d images', async (flags, samples, message) => {
    await expect(optionsOf(flags, samples)).rejects.toThrow(message);
  });

  it('rounds epochs to the nearest number of updates', async () => {
    expect((await optionsOf({ epochs: 3 }, 12)).steps).toBe(1);
  });
});
