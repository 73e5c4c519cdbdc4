import { randomOrder, rasterOrder } from '@tb/backbone';
import { hostRandom, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  markAll,
  mostConfident,
  planOfAllMasked,
  planOfOrders,
  planTensors,
  sourcesOf,
  stepCounts,
} from './sampling-plan.js';

beforeAll(() => useBackend(testBackend));

const sizes = fc.record({
  positions: fc.integer({ min: 1, max: 40 }),
  steps: fc.integer({ min: 1, max: 48 }),
  images: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(),
});

const ordersOf = (images: number, positions: number, seed: number) =>
  Array.from({ length: images }, (_, image) => Int32Array.from(randomOrder(hostRandom(seed, image), positions)));

const ascending = (list: Iterable<number>) => [...list].sort((a, b) => a - b);

describe('stepCounts', () => {
  it('masks what the cosine says, at least one position less than before and none at the end', () => {
    fc.assert(
      fc.property(sizes, ({ positions, steps }) => {
        const counts = stepCounts(steps, positions);
        let before = positions;
        for (const { step, after, before: stated } of counts) {
          const cosine = Math.floor(positions * Math.cos((Math.PI / 2) * ((step + 1) / steps)));
          const isLast = step === steps - 1;
          expect(stated).toBe(before);
          expect(after).toBe(isLast ? 0 : Math.max(1, Math.min(before - 1, cosine)));
          before = after;
        }
        expect(before).toBe(0);
      }),
    );
  });

  it('is the reference’s schedule for 256 positions in 64 steps, and one position at a time in as many steps', () => {
    const counts = stepCounts(64, 256);
    expect(counts).toHaveLength(64);
    expect(counts.slice(0, 3)).toEqual([
      { step: 0, before: 256, after: 255 },
      { step: 1, before: 255, after: 254 },
      { step: 2, before: 254, after: 253 },
    ]);
    expect(counts.at(-1)).toEqual({ step: 63, before: 6, after: 0 });
    expect(stepCounts(9, 1)).toEqual([{ step: 8, before: 1, after: 0 }]);
  });
});

describe('planOfOrders', () => {
  it('predicts every position once, in the order given, and never one that is known', () => {
    fc.assert(
      fc.property(sizes, ({ positions, steps, images, seed }) => {
        const orders = ordersOf(images, positions, seed);
        const plan = planOfOrders(orders, stepCounts(steps, positions));
        for (const [image, order] of orders.entries()) {
          const known: number[] = [];
          for (const { visible, predicted, before, after } of plan) {
            expect([...visible[image]]).toEqual(ascending(known));
            expect(predicted[image]).toHaveLength(before - after);
            known.push(...predicted[image]);
          }
          expect(ascending(known)).toEqual(Array.from(order.keys()));
          // From the order's end: what is known after any step is the end of the order.
          const [first] = plan;
          expect(ascending(first.predicted[image])).toEqual(ascending(order.slice(first.after)));
        }
      }),
    );
  });

  it('plans an image as it would by itself', () => {
    const orders = ordersOf(3, 16, 5);
    const counts = stepCounts(6, 16);
    const together = planOfOrders(orders, counts);
    const alone = planOfOrders([orders[1]], counts);
    expect(together.map(({ visible, predicted }) => [visible[1], predicted[1]])).toEqual(
      alone.map(({ visible, predicted }) => [visible[0], predicted[0]]),
    );
  });

  it('fills rows from the top in raster order', () => {
    const plan = planOfOrders([rasterOrder(9), rasterOrder(9)], stepCounts(9, 9));
    expect(plan.flatMap(({ predicted }) => [...predicted[1]])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });
});

describe('confidence', () => {
  it('keeps the most confident of all that is masked; of equals the first', () => {
    const known = [Uint8Array.of(0, 1, 0, 0), Uint8Array.of(1, 0, 0, 0)];
    const { visible, predicted } = planOfAllMasked(known, { step: 2, before: 3, after: 1 });
    expect(visible.map((list) => [...list])).toEqual([[1], [0]]);
    expect(predicted.map((list) => [...list])).toEqual([
      [0, 2, 3],
      [1, 2, 3],
    ]);
    const kept = mostConfident(predicted, 2, Float32Array.of(0.1, 0.9, 0.5, 9, 0.3, 0.3, 0.3, 9), 4);
    expect(kept.map((list) => [...list])).toEqual([
      [1, 2],
      [0, 1],
    ]);
    const sources = sourcesOf(predicted, kept, 4);
    expect([...sources.dataSync()]).toEqual([-1, -1, 1, 2, -1, 0, 1, -1]);
    sources.dispose();
    markAll(known, [Int32Array.of(2, 3), Int32Array.of(1, 2)]);
    expect(known.map((flags) => [...flags])).toEqual([
      [0, 1, 1, 1],
      [1, 1, 1, 0],
    ]);
  });
});

describe('planTensors', () => {
  it('holds the planned lists, filled up with -1', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 5 }), ({ positions, steps, images, seed }, spare) => {
        const plannedSteps = planOfOrders(ordersOf(images, positions, seed), stepCounts(steps, positions));
        const capacity = Math.max(...plannedSteps.map(({ before, after }) => before - after)) + spare;
        const plan = planTensors(plannedSteps, positions, capacity, { guidanceScale: 3, guidanceSchedule: 'linear' });
        const visible = plan.visible.arraySync();
        const predicted = plan.predicted.arraySync();
        const sources = plan.sources.arraySync();
        for (const [row, step] of plannedSteps.entries()) {
          for (let image = 0; image < images; image++) {
            const padded = (list: Int32Array, length: number) => [
              ...list,
              ...Array.from({ length: length - list.length }, () => -1),
            ];
            expect(visible[row][image]).toEqual(padded(step.visible[image], positions));
            expect(predicted[row][image]).toEqual(padded(step.predicted[image], capacity));
            const sourced = sources[row][image].flatMap((slot, position) => (slot < 0 ? [] : [[slot, position]]));
            expect(new Map(sourced as [number, number][])).toEqual(new Map(step.predicted[image].entries()));
          }
        }
        expect([...plan.steps.dataSync()]).toEqual(plannedSteps.map(({ step }) => step));
        // The reference counts one position as masked even in the last step.
        expect(plan.scales.dataSync().at(-1)).toBeCloseTo(1 + (2 * (positions - 1)) / positions, 6);
        tf.dispose(plan as unknown as tf.TensorContainer);
      }),
      { numRuns: 30 },
    );
  });
});
