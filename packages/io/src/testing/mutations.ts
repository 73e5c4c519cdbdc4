import fc from 'fast-check';

/** One change to a file. `place` is a fraction of its length, so that it means something for every file. */
export type Mutation = {
  kind: 'flip' | 'byte' | 'integer' | 'cut' | 'remove' | 'repeat';
  place: number;
  value: number;
};

/** Values at which lengths, offsets and counts go wrong. */
const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** One to four changes; `inPlace` leaves the length alone. */
export function mutations({ inPlace = false } = {}): fc.Arbitrary<Mutation[]> {
  const kinds: Mutation['kind'][] = inPlace
    ? ['flip', 'byte', 'integer']
    : ['flip', 'byte', 'integer', 'cut', 'remove', 'repeat'];
  const mutation = fc.record({
    kind: fc.constantFrom(...kinds),
    place: fc.noBias(fc.nat(2 ** 30 - 1)).map((steps) => steps / 2 ** 30),
    value: fc.noBias(fc.nat(0xffff)),
  });
  return fc.array(mutation, { minLength: 1, maxLength: 4 });
}

/** The bytes with the changes made between `begin` and `end`. */
export function mutate(
  original: Uint8Array,
  changes: Mutation[],
  begin = 0,
  end = original.length,
): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(original);
  for (const { kind, place, value } of changes) {
    const at = begin + Math.floor(place * (Math.min(end, bytes.length) - begin));
    if (at >= bytes.length) break;
    switch (kind) {
      case 'flip':
        bytes[at]! ^= 1 << (value & 7);
        break;
      case 'byte':
        bytes[at] = value & 0xff;
        break;
      case 'integer':
        writeInteger(bytes.subarray(at, end), INTERESTING[value % INTERESTING.length]!, [1, 2, 4, 8][value & 3]!);
        break;
      case 'cut':
        bytes = bytes.slice(0, at);
        break;
      case 'remove':
        bytes = joined(bytes.subarray(0, at), bytes.subarray(at + 1 + (value % 64)));
        break;
      case 'repeat':
        bytes = joined(bytes.subarray(0, at + 1 + (value % 64)), bytes.subarray(at));
        break;
    }
  }
  return bytes;
}

function writeInteger(target: Uint8Array, value: number, width: number): void {
  for (let i = 0; i < width && i < target.length; i++) target[i] = i < 4 ? (value >>> (8 * i)) & 0xff : 0;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(a.length + b.length);
  result.set(a);
  result.set(b, a.length);
  return result;
}

/** Sums the bytes that `new Uint8Array` takes, the way in which all readers take theirs, while `use` runs. */
export async function countAllocations<T>(use: () => Promise<T>): Promise<{ result: T; allocated: number }> {
  const original = globalThis.Uint8Array;
  let allocated = 0;
  globalThis.Uint8Array = new Proxy(original, {
    construct(target, args, newTarget) {
      if (typeof args[0] === 'number') allocated += args[0];
      else if (ArrayBuffer.isView(args[0])) allocated += args[0].byteLength; // a copy
      return Reflect.construct(target, args, newTarget === globalThis.Uint8Array ? target : newTarget);
    },
  });
  try {
    return { result: await use(), allocated };
  } finally {
    globalThis.Uint8Array = original;
  }
}
