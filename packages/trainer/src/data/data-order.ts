import { hostRandom } from '@tb/runtime';

/** Which sample stands at each position of an endless run: every epoch is its own random order of all samples. */
export type DataOrder = {
  /** @param position - number of samples drawn before this one, from 0 */
  at(position: number): { index: number; epoch: number };
};

/**
 * The order is a function of seed and position alone, so it is the same on every backend, for any batch size, and
 * after a resume.
 *
 * @param length - samples in an epoch
 */
export function createDataOrder(length: number, seed: number): DataOrder {
  const orders = new Map<number, ArrayLike<number>>();
  return {
    at(position) {
      const epoch = Math.floor(position / length);
      const order = orders.get(epoch) ?? hostRandom(seed, epoch).permutation(length);
      orders.set(epoch, order);
      orders.delete(epoch - 2); // batches in the making may span two epochs
      return { index: order[position % length], epoch };
    },
  };
}
