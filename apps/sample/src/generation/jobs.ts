import { createHash } from 'node:crypto';
import type { NamedClass } from './classes.js';

/** One picture to make. */
export type Job = NamedClass & {
  /** Which picture of its class, from 0. */
  index: number;
  /** The picture's own seed. */
  seed: bigint;
  /** Name of its file. */
  file: string;
};

/**
 * All pictures, the first of every class before the second of any, so that every beginning of the list has all classes alike
 * (the Inception Score of ADM's evaluator compares such pieces).
 */
export function listJobs(classes: readonly NamedClass[], count: number, seed: number): Job[] {
  return Array.from({ length: count }, (_, index) =>
    classes.map(({ label, name }) => ({
      label,
      name,
      index,
      seed: pictureSeed(seed, label, index),
      file: fileName(label, index),
    })),
  ).flat();
}

/**
 * Seed of picture `index` of class `label`: the first eight bytes, big end first, of the SHA-256 of
 * `tokenbridge/<seed>/<label>/<index>`. So a picture does not depend on the others, their number or the batch size.
 */
function pictureSeed(seed: number, label: number, index: number): bigint {
  return createHash('sha256').update(`tokenbridge/${seed}/${label}/${index}`).digest().readBigUInt64BE();
}

const fileName = (label: number, index: number) =>
  `class-${String(label).padStart(4, '0')}-${String(index).padStart(6, '0')}.png`;
