/**
 * `numpy.random.RandomState(seed).permutation(count)`, which torch-fidelity deals samples to splits with: the Mersenne
 * Twister MT19937 (Matsumoto and Nishimura 1998) and a Fisher-Yates shuffle with bit-masked rejection.
 *
 * @throws RangeError if `seed` is not an integer from 0 to 2^32 − 1
 */
export function numpyPermutation(seed: number, count: number): Uint32Array {
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw new RangeError(`numpyPermutation: seed must be an integer from 0 to 2^32 − 1, got ${seed}`);
  }
  const next = mersenneTwister(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const mask = 2 ** (32 - Math.clz32(i)) - 1;
    let j = (next() & mask) >>> 0;
    while (j > i) j = (next() & mask) >>> 0;
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

const SIZE = 624;
const MIDDLE = 397;

/** Uniform 32-bit numbers; seeded as `init_genrand` of the reference implementation. */
function mersenneTwister(seed: number): () => number {
  const state = new Uint32Array(SIZE);
  state[0] = seed;
  for (let i = 1; i < SIZE; i++) {
    const previous = state[i - 1] ^ (state[i - 1] >>> 30);
    state[i] = Math.imul(1812433253, previous) + i;
  }
  let position = SIZE;
  return () => {
    if (position === SIZE) {
      twist(state);
      position = 0;
    }
    let word = state[position++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  };
}

function twist(state: Uint32Array): void {
  for (let i = 0; i < SIZE; i++) {
    const word = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
    state[i] = state[(i + MIDDLE) % SIZE] ^ (word >>> 1) ^ (word & 1 ? 0x9908b0df : 0);
  }
}
