import type { ArraySpec } from './executor.js';

/** One argument or result of a program. */
export type Place = { index: number; path: string; spec: ArraySpec };

const typeKey = ({ type, shape }: ArraySpec): string => `${type}[${shape}]`;

/** How many segments two dotted paths have in common at their ends. */
function commonTail(a: string, b: string): number {
  const [left, right] = [a.split('.').reverse(), b.split('.').reverse()];
  const differs = left.findIndex((segment, i) => segment !== right[i]);
  return differs === -1 ? left.length : differs;
}

/**
 * Decides which result takes the memory of which donated argument: one of the same type, and among those the one whose path
 * ends alike, so that a parameter's update goes to that parameter's memory and XLA need not copy.
 *
 * @returns result number by argument number
 */
export function matchDonations(donated: readonly Place[], results: readonly Place[]): Map<number, number> {
  const matches = new Map<number, number>();
  const byType = new Map<string, Place[]>();
  for (const result of results) {
    const key = typeKey(result.spec);
    byType.set(key, [...(byType.get(key) ?? []), result]);
  }
  const pairs = donated.flatMap((argument) =>
    (byType.get(typeKey(argument.spec)) ?? []).map((result) => ({
      argument,
      result,
      likeness: commonTail(argument.path, result.path),
    })),
  );
  const taken = new Set<number>();
  for (const { argument, result } of pairs.sort((a, b) => b.likeness - a.likeness)) {
    if (matches.has(argument.index) || taken.has(result.index)) continue;
    matches.set(argument.index, result.index);
    taken.add(result.index);
  }
  return matches;
}
