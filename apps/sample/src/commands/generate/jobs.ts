// Which images are to be made: classes, their names, and a seed for each image.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { suggestion, UsageError } from '@tb/command-line';
import { fileSystemReason } from '@tb/io';

export type NamedClass = { label: number; name: string };

/** One image to make. */
export type Job = NamedClass & {
  /** Number of the image within its class, from 0. */
  index: number;
  /** The image's own seed. */
  seed: bigint;
  /** Name of its file. */
  file: string;
};

/**
 * All images, the first of every class before the second of any, so that every beginning of the list has all classes in equal
 * numbers (the Inception Score of ADM's evaluator compares such pieces).
 */
export function listJobs(classes: readonly NamedClass[], count: number, seed: number): Job[] {
  return Array.from({ length: count }, (_, index) =>
    classes.map(({ label, name }) => ({
      label,
      name,
      index,
      seed: seedOf(seed, label, index),
      file: `class-${String(label).padStart(4, '0')}-${String(index).padStart(6, '0')}.png`,
    })),
  ).flat();
}

/**
 * Seed of image `index` of class `label`: the first eight bytes, big end first, of the SHA-256 of
 * `tokenbridge/<seed>/<label>/<index>`. So an image does not depend on the others, their number or the batch size.
 */
export function seedOf(seed: number, label: number, index: number): bigint {
  return createHash('sha256').update(`tokenbridge/${seed}/${label}/${index}`).digest().readBigUInt64BE();
}

/**
 * Reads the classes that --classes names: `all`, names, numbers from 0, and ranges such as `3-7`. Numbers and ranges are always
 * labels; `=7` is the class that is named 7.
 *
 * @param words - the option's value, split at its commas; names that have commas are put together again
 * @param count - of the model's classes
 * @param names - of all classes in the order of their labels, where they are known
 * @throws UsageError for a class that does not exist, with the nearest name, and for one that is named twice
 */
export function parseClasses(words: readonly string[], count: number, names: readonly string[] = []): NamedClass[] {
  const labels: number[] = [];
  const labelOf = labelsByName(names);
  const mostWords = Math.max(1, ...names.map((name) => name.normalize('NFKC').split(',').length));
  for (let start = 0; start < words.length; ) {
    const { label, length } = findName(words, start, labelOf, mostWords) ?? { label: undefined, length: 1 };
    labels.push(...(label === undefined ? parseWord(words[start], count, names, labelOf) : [label]));
    start += length;
  }
  const nameOf = (label: number) => names[label] ?? String(label);
  const known = new Set<number>();
  const twice = labels.find((label) => known.size === known.add(label).size);
  if (twice !== undefined) throw new UsageError(`--classes names ${nameOf(twice)} twice`);
  return labels.map((label) => ({ label, name: nameOf(label) }));
}

const isNumeric = (word: string) => /^\d+(-\d+)?$/.test(word);

/** The longest sequence of words from `start` on that is the name of a class. */
function findName(
  words: readonly string[],
  start: number,
  labelOf: (text: string) => number | undefined,
  most: number,
) {
  for (let length = Math.min(words.length - start, most); length > 0; length--) {
    const text = words.slice(start, start + length).join(',');
    if (text === 'all' || isNumeric(text)) continue;
    const label = labelOf(text) ?? (text.startsWith('=') ? labelOf(text.slice(1)) : undefined);
    if (label !== undefined) return { label, length };
  }
  return undefined;
}

/**
 * Names are compared as they are, and then whatever their Unicode form and spaces next to commas, whatever their case, and
 * whatever the width of their letters.
 *
 * @returns a function that returns the label of a class by its name
 */
function labelsByName(names: readonly string[]): (text: string) => number | undefined {
  const tables = forms.map((form) => {
    const labels = new Map<string, number[]>();
    for (const [label, name] of names.entries()) labels.set(form(name), [...(labels.get(form(name)) ?? []), label]);
    return { form, labels };
  });
  return (text) => {
    const labels = tables.map((table) => table.labels.get(table.form(text))).find((found) => found !== undefined);
    if (labels !== undefined && labels.length > 1)
      throw new UsageError(
        `--classes: ${JSON.stringify(text)} is the name of ${labels.length} classes; their numbers are ${labels.join(', ')}`,
      );
    return labels?.[0];
  };
}

const exact = (name: string) =>
  name
    .normalize('NFC')
    .trim()
    .replace(/\s*,\s*/g, ',');

const forms: readonly ((name: string) => string)[] = [
  (name) => name,
  exact,
  (name) => exact(name).toLowerCase(),
  (name) => exact(name.normalize('NFKC')).toLowerCase(),
];

function parseWord(
  word: string,
  count: number,
  names: readonly string[],
  labelOf: (text: string) => number | undefined,
): number[] {
  if (word === 'all') return range(0, count - 1);
  if (!isNumeric(word)) throw new UsageError(unknownClass(word, count, names));
  const [first, last = first] = word.split('-').map(Number);
  if (last < count && first <= last) return range(first, last);
  const isName = labelOf(word) !== undefined;
  const advice = isName ? `; =${word} is the class of that name` : '';
  throw new UsageError(`--classes: the model has the classes 0 to ${count - 1}, got ${JSON.stringify(word)}${advice}`);
}

function unknownClass(word: string, count: number, names: readonly string[]): string {
  const start = `--classes: no class is named ${JSON.stringify(word)}`;
  if (names.length === 0)
    return `${start}: these weights have no names; give numbers from 0 to ${count - 1}, or the names with --class-names`;
  const near = suggestion(word, names);
  const listed = names.length > 12 ? `${names.slice(0, 12).join(', ')}, …` : names.join(', ');
  return near ? start + near : `${start}; there are ${listed}`;
}

/** Reads the names of classes, one per line. */
export async function readClassNames(path: string, count: number): Promise<string[]> {
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--class-names ${path} cannot be read: ${fileSystemReason(error)}`);
  });
  const names = content
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (names.length === count) return names;
  throw new UsageError(`--class-names ${path} must hold ${count} names, one per line, got ${names.length}`);
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, place) => first + place);
