import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDataOrder } from './batches.js';

describe('createDataOrder', () => {
  it('shows every sample once an epoch, in an order of its own, from any place', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 50 }), fc.integer({ min: 0, max: 1000 }), (length, seed) => {
        const order = createDataOrder(length, seed);
        const epochs = [0, 1, 2].map((epoch) => Array.from({ length }, (_, i) => order.at(epoch * length + i).index));
        for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([...epoch.keys()]);
        const place = length + (seed % length);
        expect(createDataOrder(length, seed).at(place)).toEqual({ index: epochs[1][place - length], epoch: 1 });
      }),
    );
  });
});
