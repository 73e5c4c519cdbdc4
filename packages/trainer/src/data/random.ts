import { hostRandom } from '@tb/runtime';

/**
 * The host generator of one place in a run: the same seed and path always give the same numbers, and different paths
 * give independent ones. So the data order needs no state, and a resumed run continues it exactly.
 *
 * @param path - integers, for instance an epoch and an index
 */
export function randomAt(seed: number, ...path: number[]): ReturnType<typeof hostRandom> {
  const mixed = path.reduce((state, part) => state * 0x9e3779b97f4a7c15n + BigInt(part) + 1n, BigInt(seed));
  return hostRandom(BigInt.asUintN(64, mixed));
}
