import { hostRandom, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  drawMasking,
  drawMaskRatio,
  guidanceOfStep,
  maskedAfterStep,
  maskedCount,
  maskingCapacities,
  maskingOfOrders,
  positionLists,
  randomOrder,
  rasterOrder,
} from './positions.js';

beforeAll(() => useBackend('cpu'));

describe('maskingOfOrders', () => {
  it('pads no list beyond all positions, however coarse', () => {
    const { visible, masked } = maskingOfOrders([rasterOrder(40)], 30, 1e9);
    expect([visible.shape, masked.shape]).toEqual([
      [1, 40],
      [1, 40],
    ]);
    tf.dispose([visible, masked]);
  });

  it('lists every position once, in as few shapes as there are multiples', () => {
    const capacities = new Set<string>();
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        (count, granularity, seed) => {
          const random = hostRandom(seed);
          const masking = maskingOfOrders([randomOrder(random, 40), randomOrder(random, 40)], count, granularity);
          const [visible, masked] = [masking.visible.arraySync(), masking.masked.arraySync()];
          for (const image of [0, 1]) {
            const hidden = masked[image].filter((position) => position >= 0);
            const seen = visible[image].filter((position) => position >= 0);
            expect(hidden.length).toBe(count);
            expect([...hidden, ...seen].sort((a, b) => a - b)).toEqual([...Array(40).keys()]);
            expect(seen).toEqual([...seen].sort((a, b) => a - b));
          }
          if (granularity === 8) capacities.add(`${masking.visible.shape[1]}/${masking.masked.shape[1]}`);
          tf.dispose([masking.visible, masking.masked]);
        },
      ),
      { numRuns: 200 },
    );
    for (const [visible, masked] of [...capacities].map((each) => each.split('/').map(Number)))
      expect(visible).toBe(Math.max(8, 40 - masked + 8));
  });

  it('masks the first of an order', () => {
    const { masked, visible } = maskingOfOrders([[3, 0, 2, 1]], 3, 2);
    expect(masked.arraySync()).toEqual([[0, 2, 3, -1]]);
    expect(visible.arraySync()).toEqual([[1, -1]]);
  });

  it('is drawn in about five shapes for the paper’s 256 positions', () => {
    const random = hostRandom(1);
    const shapes = Array.from({ length: 100 }, () => {
      const { visible, masked } = drawMasking(random, { images: 1, positions: 256, minimumRatio: 0.7 });
      return `${visible.shape} ${masked.shape}`;
    });
    expect(new Set(shapes).size).toBeLessThanOrEqual(6);
    const capacities = maskingCapacities({ positions: 256, minimumRatio: 0.7 });
    expect(capacities.map(({ masked }) => masked)).toEqual([256, 240, 224, 208, 192]);
    const expected = new Set(capacities.map(({ visible, masked }) => `1,${visible} 1,${masked}`));
    for (const shape of shapes) expect(expected).toContain(shape);
  });

  it('refuses lists longer than their capacity', () => {
    expect(() => positionLists([[1, 2, 3]], 2)).toThrow('a list must hold at most 2 positions, got 3');
    expect(() => maskingOfOrders([[0, 1]], 0)).toThrow('count must be an integer in [1, 2], got 0');
  });
});

describe('drawMaskRatio', () => {
  it('has the quantiles of the truncated normal distribution', () => {
    // scipy.stats.truncnorm((0.7 − 1) / 0.25, 0, loc=1, scale=0.25).ppf, as the golden set records it
    const quantiles = { 0.1: 0.7446819039356183, 0.5: 0.8742874762745441, 0.9: 0.9758405176194248 };
    const random = hostRandom(3);
    const drawn = Array.from({ length: 20000 }, () => drawMaskRatio(random, 0.7)).sort((a, b) => a - b);
    for (const [probability, expected] of Object.entries(quantiles))
      expect(Math.abs(drawn[Math.floor(Number(probability) * drawn.length)] - expected)).toBeLessThan(0.005);
    expect(drawn[0]).toBeGreaterThanOrEqual(0.7);
    expect(drawn.at(-1)).toBeLessThanOrEqual(1);
  });

  it('names a minimum it cannot reach', () => {
    expect(() => drawMaskRatio(hostRandom(0), 1)).toThrow('minimum must be in [0, 1), got 1');
  });
});

describe('schedules', () => {
  it('predicts at least one position a step and all in the end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (positions, steps) => {
        let masked = positions;
        for (let step = 0; step < steps; step++) {
          const after = maskedAfterStep(step, steps, positions, masked);
          const isLast = step === steps - 1;
          expect(after).toBeGreaterThanOrEqual(isLast ? 0 : 1);
          if (masked > 1) expect(after).toBeLessThan(masked);
          masked = after;
        }
        expect(masked).toBe(0);
      }),
    );
  });

  it('follows the cosine', () => {
    const counts = [0, 1, 2, 3].map((step) => maskedAfterStep(step, 4, 256, 256));
    expect(counts).toEqual([236, 181, 97, 0]);
  });

  it('raises guidance with the known positions, and never quite to the full scale', () => {
    expect(guidanceOfStep('linear', 3, 16, 14)).toBe(1.25);
    expect(guidanceOfStep('linear', 3, 16, 0)).toBe(2.875);
    expect(guidanceOfStep('constant', 3, 16, 14)).toBe(3);
  });
});

describe('orders', () => {
  it('fill a grid row by row from their end', () => expect([...rasterOrder(4)]).toEqual([3, 2, 1, 0]));
  it('mask ⌈ratio · positions⌉', () => expect(maskedCount(0.72, 16)).toBe(12));
});
