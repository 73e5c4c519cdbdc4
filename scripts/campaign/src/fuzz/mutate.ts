import type { HostRandom } from '@tb/runtime';
import { type Mutation, mutate } from '../../../../packages/io/src/testing/mutations.js';

const kinds: readonly Mutation['kind'][] = ['flip', 'byte', 'integer', 'cut', 'remove', 'repeat'];
const kindsInPlace = kinds.slice(0, 3);

/** What a mutant of bytes may change. */
export type MutateOptions = {
  /** Where the changes are made; default: anywhere. */
  begin?: number;
  end?: number;
  /** Leave the length as it is. */
  inPlace?: boolean;
  /** Words of the format, which are written over what is there. */
  words?: readonly string[];
  /** Other files, of which a piece may be taken. */
  others?: readonly Uint8Array[];
};

/** Changes bytes in one to four places. */
export function mutateBytes(random: HostRandom, original: Uint8Array, options: MutateOptions = {}): Uint8Array {
  const { begin = 0, end = original.length, inPlace = false, words = [], others = [] } = options;
  const way = random.uniform();
  if (way < 0.1 && words.length > 0) return withWord(random, original, begin, end, words);
  if (way < 0.15 && others.length > 0 && !inPlace) return spliced(random, original, others);
  const changes = Array.from({ length: random.integers(1, 5) }, () => ({
    kind: pick(random, inPlace ? kindsInPlace : kinds),
    place: random.uniform(),
    value: random.integers(0, 0x10000),
  }));
  return mutate(original, changes, begin, end);
}

/** One of some values. */
export const pick = <Value>(random: HostRandom, values: readonly Value[]): Value =>
  values[random.integers(0, values.length)]!;

function withWord(random: HostRandom, original: Uint8Array, begin: number, end: number, words: readonly string[]) {
  const bytes = Uint8Array.from(original);
  const word = Buffer.from(pick(random, words), 'latin1');
  const place = begin + random.integers(0, Math.max(1, end - begin));
  bytes.set(word.subarray(0, Math.max(0, bytes.length - place)), Math.min(place, bytes.length));
  return bytes;
}

/** The beginning of one file and the end of another. */
function spliced(random: HostRandom, original: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const other = pick(random, others);
  const [first, second] = [original.length, other.length].map((length) => random.integers(0, length + 1));
  return Uint8Array.from(Buffer.concat([original.subarray(0, first), other.subarray(second)]));
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const oddValues: readonly Json[] = [
  null,
  true,
  0,
  -1,
  0.5,
  2 ** 31,
  2 ** 53,
  1e308,
  '',
  '0',
  '__proto__',
  '../../outside',
  '/etc/hostname',
  '\u001b[31m\u202e',
  '<script>alert(1)</script>',
  'x'.repeat(5000),
  [],
  {},
  [[]],
  [null],
  { length: 3 },
];

/** Changes one to three values or names somewhere in a JSON text; text that is not JSON is changed as bytes. */
export function mutateJson(random: HostRandom, text: Uint8Array): Uint8Array {
  let root: Json;
  try {
    root = JSON.parse(Buffer.from(text).toString());
  } catch {
    return mutateBytes(random, text);
  }
  for (let change = random.integers(1, 4); change > 0; change--) root = changed(random, root);
  return new TextEncoder().encode(JSON.stringify(root));
}

/** Goes down to a random depth and changes what is there. */
function changed(random: HostRandom, value: Json): Json {
  const isInner = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
  if (!isInner || random.uniform() < 0.15) return replaced(random, value);
  const entries = Object.entries(value);
  const chosen = random.integers(0, entries.length);
  const [name, inner] = entries[chosen]!;
  const way = random.uniform();
  if (way < 0.08) entries.splice(chosen, 1);
  else if (way < 0.12) entries.push([`${name}2`, inner]);
  else if (way < 0.16) entries[chosen] = [pick(random, ['__proto__', 'constructor', '', 'toString', '0']), inner];
  else entries[chosen] = [name, changed(random, inner)];
  if (Array.isArray(value)) return entries.map(([, item]) => item);
  return Object.fromEntries(entries);
}

function replaced(random: HostRandom, value: Json): Json {
  const way = random.uniform();
  if (typeof value === 'number' && way < 0.4) return value + pick(random, [-1, 1, 0.5, -value, value, 1e9]);
  if (typeof value === 'string' && way < 0.3)
    return Buffer.from(mutateBytes(random, Buffer.from(value || ' '))).toString('latin1');
  if (way < 0.5) return [value];
  return pick(random, oddValues);
}
