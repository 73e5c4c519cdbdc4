// Reads mutants of one kind of file, and reports what must not happen.
import { inspect } from 'node:util';
import { hostRandom } from '@tb/runtime';
import { faultOf, observe } from '../reading.js';
import { pick } from './mutate.js';
import { sha256 } from './reseal.js';
import type { Mutant, Target } from './target.js';

/** What reading some mutants showed. */
export type Attack = {
  tried: number;
  accepted: number;
  refused: number;
  /** Milliseconds that the slowest mutant took. */
  slowest: number;
  /** Most bytes by which one mutant raised the peak of the process's memory. */
  largest: number;
  faults: { index: number; what: string; bytes: Uint8Array }[];
};

export type AttackOptions = {
  seed: number;
  trial: number;
  /** Most mutants to make. */
  mutants: number;
  /** Milliseconds after which no other mutant is begun. */
  milliseconds: number;
  /** Called with the number of each mutant before it is read: if the process ends, this one is to blame. */
  onMutant?(index: number): void;
};

/** Mutants that are kept because they led to something new. */
const mostKept = 200;

/** Makes mutants of a kind of file and reads them. The same seed and trial make the same mutants. */
export async function attack(target: Target, options: AttackOptions): Promise<Attack> {
  const result: Attack = { tried: 0, accepted: 0, refused: 0, slowest: 0, largest: 0, faults: [] };
  const random = hostRandom(options.seed, options.trial);
  const sound = new Map<Uint8Array, Promise<string>>();
  const kept: { bytes: Uint8Array; isChecked: boolean }[] = [];
  const outcomes = new Set<string>();
  const start = performance.now();
  for (let index = 0; index < options.mutants && performance.now() - start < options.milliseconds; index++) {
    options.onMutant?.(index);
    const seed = pick(random, target.seeds);
    const mutant = makeMutant(target, random, seed, kept);
    const seen = await observe(() => target.read(mutant.bytes));
    result.tried++;
    result.slowest = Math.max(result.slowest, seen.milliseconds);
    result.largest = Math.max(result.largest, seen.memory);
    const isAccepted = !('error' in seen);
    if (isAccepted) result.accepted++;
    else result.refused++;
    const what =
      faultOf(seen) ?? (isAccepted && mutant.isChecked ? await compare(target, sound, seed, seen.value) : undefined);
    if (what !== undefined) result.faults.push({ index, what, bytes: mutant.bytes });
    const outcome = isAccepted ? shapeOf(seen.value) : templateOf(seen.error);
    if (!outcomes.has(outcome) && kept.length < mostKept) kept.push(mutant);
    outcomes.add(outcome);
  }
  return result;
}

/** Half of the mutants are made of one that led to something new before: a new message, a value of a new form. */
function makeMutant(
  target: Target,
  random: ReturnType<typeof hostRandom>,
  seed: Uint8Array,
  kept: readonly Mutant[],
): Mutant {
  if (kept.length === 0 || random.uniform() < 0.5) return target.mutate(random, seed, target.seeds);
  const base = pick(random, kept);
  const { bytes } = target.mutate(random, base.bytes, target.seeds);
  return { bytes, isChecked: false };
}

async function compare(
  target: Target,
  sound: Map<Uint8Array, Promise<string>>,
  seed: Uint8Array,
  value: unknown,
): Promise<string | undefined> {
  let expected = sound.get(seed);
  if (expected === undefined) {
    expected = target.read(seed).then(digestOf);
    sound.set(seed, expected);
  }
  return digestOf(value) === (await expected) ? undefined : 'accepted with other content than it was written with';
}

/** A hash of everything that was read. */
function digestOf(value: unknown): string {
  const text = JSON.stringify(value, (_, part) => {
    if (typeof part === 'bigint') return `${part}n`;
    if (ArrayBuffer.isView(part))
      return `${part.constructor.name} ${sha256(new Uint8Array(part.buffer, part.byteOffset, part.byteLength))}`;
    if (part instanceof Map) return [...part];
    return part instanceof Set ? [...part] : part;
  });
  return sha256(Buffer.from(text ?? 'undefined'));
}

/** The form of a value: what is in it, without the numbers. */
function shapeOf(value: unknown): string {
  return inspect(value, { depth: 3, maxArrayLength: 3, maxStringLength: 12, breakLength: Number.POSITIVE_INFINITY })
    .replace(/\d+/g, '0')
    .slice(0, 400);
}

/** A message without the numbers and names in it. */
const templateOf = (error: unknown) =>
  String(error)
    .replace(/"[^"]*"/g, '""')
    .replace(/\d+/g, '0')
    .slice(0, 200);
