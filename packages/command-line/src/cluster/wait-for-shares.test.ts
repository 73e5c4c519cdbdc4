import { expect, it } from 'vitest';
import { waitForShares } from './wait-for-shares.js';

const counting = (...counts: number[]) => {
  const left = [...counts];
  return async () => (left.length > 1 ? left.shift()! : left[0]!);
};

it('waits until nothing is missing, and no longer than there is progress', async () => {
  const seen: number[] = [];
  await waitForShares({ missing: counting(3, 2, 2, 0), onMissing: (missing) => seen.push(missing), pollMs: 1 });
  expect(seen).toEqual([3, 2, 2]);
  const stuck = waitForShares({ missing: counting(5, 4), pollMs: 1, timeoutMs: 20 });
  await expect(stuck).rejects.toThrow(/^4 results of other processes are missing/);
  const signal = AbortSignal.timeout(5);
  await expect(waitForShares({ missing: counting(1), pollMs: 10_000, signal })).rejects.toThrow(/timeout/);
});
