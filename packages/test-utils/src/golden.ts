import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HostTensor, readSafetensors } from '@tb/io';

export type GoldenTensor = HostTensor;

const shipped = fileURLToPath(new URL('../golden', import.meta.url));

const workspace = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Path inside the golden set: the folder that `TB_GOLDEN` names, or the set shipped with the project. A relative name
 * counts from the working folder or, since each package's tests run in its own, from the workspace's root.
 */
export function goldenPath(...parts: string[]): string {
  const folder = process.env.TB_GOLDEN || shipped;
  return resolve(existsSync(folder) ? folder : resolve(workspace, folder), ...parts);
}

/** A JSON file of the golden set; the strings "Infinity" and "-Infinity" become numbers. */
// biome-ignore lint/suspicious/noExplicitAny: golden files are untyped, each test knows its own.
export function goldenJson(...parts: string[]): any {
  const numbers: Record<string, number> = { Infinity: Number.POSITIVE_INFINITY, '-Infinity': Number.NEGATIVE_INFINITY };
  return JSON.parse(readFileSync(goldenPath(...parts), 'utf8'), (_, value) =>
    typeof value === 'string' && Object.hasOwn(numbers, value) ? numbers[value] : value,
  );
}

/** All tensors of a safetensors file of the golden set. */
export async function goldenTensors(...parts: string[]): Promise<Record<string, GoldenTensor>> {
  return (await readSafetensors(goldenPath(...parts))).tensors;
}

/** The values of a tensor as ordinary numbers. */
export function toNumbers(tensor: GoldenTensor): Float64Array {
  return Float64Array.from(tensor.data as ArrayLike<number>);
}
