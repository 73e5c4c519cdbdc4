import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkpointWriteSeconds, type Fleet, fitStepCosts, predictFailures, predictStep } from './scale-model.js';
import { measurementsOf } from './scale-table.js';

const results = JSON.parse(readFileSync(new URL('results/parallel.json', import.meta.url), 'utf8'));
const costs = fitStepCosts(measurementsOf(results));
const fleet = (devices: number, changes: Partial<Fleet> = {}): Fleet => ({
  devices,
  devicesPerHost: 8,
  networkGBps: 300,
  latencyMs: 0.02,
  ...changes,
});

describe('the cost model', () => {
  it('reproduces the measurements that it is fitted to', () => {
    expect(predictStep(costs, fleet(1)).stepMs).toBeCloseTo(results['1x1'].stepMs, 6);
    expect(predictStep(costs, fleet(2)).stepMs).toBeCloseTo(results['2x1'].stepMs, 6);
    expect(predictStep(costs, fleet(2), 4).stepMs).toBeCloseTo(results['2x4'].stepMs, 6);
    expect(predictStep(costs, fleet(2)).efficiency).toBeCloseTo(results.scalingEfficiency, 2);
    expect(predictStep(costs, fleet(2)).imagesPerSecond).toBeCloseTo(results['2x1'].imagesPerSecond, 0);
  });

  it('loses more with more devices and slower networks, and less with more passes', () => {
    const efficiencies = [1, 2, 8, 16, 64, 512].map((devices) => predictStep(costs, fleet(devices)).efficiency);
    expect(efficiencies).toEqual([...efficiencies].sort((a, b) => b - a));
    expect(efficiencies[0]).toBe(1);
    const slow = predictStep(costs, fleet(64, { networkGBps: 10 }));
    expect(slow.efficiency).toBeLessThan(0.5);
    expect(predictStep(costs, fleet(64, { networkGBps: 10 }), 16).efficiency).toBeGreaterThan(0.85);
    expect(predictStep(costs, fleet(16, { networkGBps: 1e9, latencyMs: 0 })).exchangeMs).toBeCloseTo(
      predictStep(costs, fleet(8)).exchangeMs,
      3,
    );
  });

  it('refuses what it cannot describe', () => {
    expect(() => fitStepCosts({ ...measurementsOf(results), allMs: 100 })).toThrow(/the times must grow/);
    expect(() => predictStep(costs, fleet(0))).toThrow(/devices must be at least 1/);
  });
});

it('predicts what failures cost', () => {
  const failures = { hoursPerDevice: 50_000, checkpointSeconds: 5, noticeSeconds: 30, restartSeconds: 120 };
  const one = predictFailures(8, failures);
  const many = predictFailures(512, failures);
  expect(many.hoursBetweenFailures).toBeCloseTo(97.7, 1);
  expect(many.checkpointEverySeconds).toBeCloseTo(Math.sqrt(10 * 3600 * 97.65625), 6);
  expect(many.goodput).toBeGreaterThan(0.99);
  expect(many.goodput).toBeLessThan(one.goodput);
  expect(predictFailures(1e9, failures).goodput).toBe(0);
  expect(checkpointWriteSeconds({ parameters: 487e6 }, 2)).toBeCloseTo(3.896, 3);
});
