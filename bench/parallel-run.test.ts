import { useBackend } from '@tb/runtime';
import { presets } from '@tb/tokenbridge';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { measureAgreement, measureSpeed, parseCases } from './parallel-run.js';

beforeAll(async () => {
  await useBackend('wasm');
});

const network = { width: 16, depth: 1, heads: 2 };
const config = {
  ...presets.tiny,
  backbone: { ...presets.tiny.backbone, encoder: network, decoder: network },
  head: { ...presets.tiny.head, ...network },
};
const common = { config, precision: 'fp32', dropout: false, batch: 4 } as const;

describe('parseCases', () => {
  it('reads devices and micro-batches', () => {
    expect(parseCases('1x1, 8x4')).toEqual([
      { devices: 1, microBatches: 1 },
      { devices: 8, microBatches: 4 },
    ]);
    expect(() => parseCases('2')).toThrow('--cases must be like 1x1,2x1 (devices x micro-batches), got 2');
  });
});

describe('measurements', () => {
  it('of micro-batches agree, and leave nothing behind', async () => {
    const before = tf.memory().numTensors;
    const cases = parseCases('1x1,1x2').map((each) => ({ ...common, ...each }));
    const { losses, largestDeviation, spread } = await measureAgreement(cases, 2);
    expect(Object.keys(losses)).toEqual(['1x1', '1x2']);
    expect(losses['1x2'][0]).toBeGreaterThan(1);
    expect(largestDeviation).toBeLessThan(1e-5);
    expect(spread).toBe(0);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('of speed state what was measured', async () => {
    const measured = await measureSpeed({ ...common, dropout: true, devices: 1, microBatches: 2 }, 1);
    expect(measured).toMatchObject({ devices: 1, microBatches: 2, batch: 4 });
    expect(measured.imagesPerSecond).toBeGreaterThan(0);
    expect(measured.losses).toHaveLength(4);
  });
});
