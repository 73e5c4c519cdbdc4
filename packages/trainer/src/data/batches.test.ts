import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDataOrder } from './batches.js';

describe('createDataOrder', () => {
  it('gives every sample once an epoch, in another order each time, from any position', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 50 }), fc.integer({ min: 0, max: 1000 }), (length, seed) => {
        const order = createDataOrder(length, seed);
        const epochs = [0, 1, 2].map((epoch) => Array.from({ length }, (_, i) => order.at(epoch * length + i).index));
        for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([...epoch.keys()]);
        const position = length + (seed % length);
        expect(createDataOrder(length, seed).at(position)).toEqual({ index: epochs[1][position - length], epoch: 1 });
      }),
    );
  });
});
