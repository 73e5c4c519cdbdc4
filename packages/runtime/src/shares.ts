/**
 * A part of work that needs nothing from the other parts: which one, and how many there are. A process of a job has one
 * (`ProcessGroup`), and a device of a process may have one.
 */
export type Share = {
  /** From 0. */
  readonly index: number;
  readonly count: number;
};

/**
 * The places of a list that belong to a share: one range, whose length differs from the others' by at most 1. The ranges
 * of all shares cover the list, each place once.
 *
 * @throws RangeError when `index` is not from 0 to `count` − 1
 */
export function shareRange(length: number, { index, count }: Share): { start: number; end: number } {
  if (!Number.isInteger(index) || !Number.isInteger(count) || index < 0 || index >= count)
    throw new RangeError(`shareRange: index must be from 0 to ${count - 1}, got ${index}`);
  return { start: Math.floor((length * index) / count), end: Math.floor((length * (index + 1)) / count) };
}

/** The items of a list that belong to a share, in their order; see `shareRange`. */
export function shareOf<Item>(items: readonly Item[], share: Share): Item[] {
  const { start, end } = shareRange(items.length, share);
  return items.slice(start, end);
}
