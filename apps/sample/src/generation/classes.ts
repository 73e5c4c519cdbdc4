import { readFile } from 'node:fs/promises';
import { suggestion, UsageError } from '@tb/command-line';
import { fileSystemReason } from '@tb/io';

export type NamedClass = { label: number; name: string };

/**
 * The classes that --classes names: `all`, names, numbers from 0, and ranges such as `3-7`.
 *
 * @param names - of all classes in the order of their labels, where they are known
 * @throws UsageError for a class that does not exist, with the nearest name; nothing may be named twice
 */
export function parseClasses(wanted: readonly string[], count: number, names: readonly string[] = []): NamedClass[] {
  const labels = wanted.flatMap((each) => (each === 'all' ? range(0, count - 1) : parseClass(each, count, names)));
  const twice = labels.find((label, place) => labels.indexOf(label) !== place);
  const nameOf = (label: number) => names[label] ?? String(label);
  if (twice !== undefined) throw new UsageError(`--classes names ${nameOf(twice)} twice`);
  return labels.map((label) => ({ label, name: nameOf(label) }));
}

function parseClass(text: string, count: number, names: readonly string[]): number[] {
  const known = names.findIndex((name) => name.toLowerCase() === text.toLowerCase());
  if (known >= 0) return [known];
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  if (first === undefined) throw new UsageError(unknownClass(text, count, names));
  const [low, high] = [Number(first), Number(last)];
  if (high >= count || low > high)
    throw new UsageError(`--classes: the model has the classes 0 to ${count - 1}, got ${JSON.stringify(text)}`);
  return range(low, high);
}

function unknownClass(text: string, count: number, names: readonly string[]): string {
  const start = `--classes: no class is named ${JSON.stringify(text)}`;
  if (names.length === 0)
    return `${start}: these weights bring no names; give numbers from 0 to ${count - 1}, or the names with --class-names`;
  const near = suggestion(text, names);
  const some = names.length > 12 ? `${names.slice(0, 12).join(', ')}, …` : names.join(', ');
  return near ? start + near : `${start}; there are ${some}`;
}

/** Names of classes, one per line. */
export async function readClassNames(path: string, count: number): Promise<string[]> {
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--class-names ${path} cannot be read: ${fileSystemReason(error)}`);
  });
  const names = content
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (names.length === count) return names;
  throw new UsageError(`--class-names ${path} must hold ${count} names, one per line, got ${names.length}`);
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, place) => first + place);
