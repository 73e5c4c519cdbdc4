/** SHIM until hostRandom lands */
export type HostRandom = {
  uniform(): number;
  normal(): number;
  integers(low: number, high: number): number;
  permutation(length: number): Int32Array;
};
function hostRandom(seed: bigint): HostRandom {
  let state = BigInt.asUintN(64, seed);
  const uniform = () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    z ^= z >> 31n;
    return Number(z >> 40n) / 2 ** 24;
  };
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    integers: (low, high) => low + Math.floor(uniform() * (high - low)),
    permutation: (length) => {
      const order = Int32Array.from({ length }, (_, i) => i);
      for (let i = length - 1; i > 0; i--) {
        const j = Math.floor(uniform() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      return order;
    },
  };
}

/**
 * The host generator of one place in a run: the same seed and path always give the same numbers, and different paths
 * give independent ones. So the data order needs no state, and a resumed run continues it exactly.
 *
 * @param path - integers, for instance an epoch and an index
 */
export function randomAt(seed: number, ...path: number[]): HostRandom {
  const mixed = path.reduce((state, part) => state * 0x9e3779b97f4a7c15n + BigInt(part) + 1n, BigInt(seed));
  return hostRandom(BigInt.asUintN(64, mixed));
}
