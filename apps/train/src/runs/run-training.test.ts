import { expect, it } from 'vitest';
import { adviseOnWarmup } from './run-training.js';

const schedule = { kind: 'cosine', peak: 8e-4, minimum: 0, warmup: 200, total: 1000 } as const;

it('says what a warm-up longer than the run does to the learning rate, and nothing of another', () => {
  expect(adviseOnWarmup(schedule)).toEqual([]);
  expect(adviseOnWarmup({ ...schedule, total: 200 })).toEqual([]);
  expect(adviseOnWarmup({ ...schedule, total: 100 })).toEqual([
    'the warm-up of 200 steps ends after the last of 100: the learning rate reaches 0.00040 instead of 0.00080; --warmup-steps sets another',
  ]);
});
