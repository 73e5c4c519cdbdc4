import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of the files below a folder, relative to it, in order; none where it does not exist. */
export function filesBelow(folder: string): string[] {
  const all = readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: false });
  return all.filter((file) => statSync(join(folder, file)).isFile()).sort();
}

/** The SHA-256 of each file. */
export function contentOf(folder: string, files: readonly string[]): Record<string, string> {
  const hash = (file: string) =>
    createHash('sha256')
      .update(readFileSync(join(folder, file)))
      .digest('hex');
  return Object.fromEntries(files.map((file) => [file, hash(file)]));
}

/** Describes in one sentence how results differ from those that are expected; undefined where they do not. */
export function differenceOf(
  results: Readonly<Record<string, string>>,
  expected: Readonly<Record<string, string>>,
): string | undefined {
  const names = [...new Set([...Object.keys(expected), ...Object.keys(results)])];
  const missing = names.filter((name) => !(name in results));
  const unexpected = names.filter((name) => !(name in expected));
  const other = names.filter((name) => name in results && name in expected && results[name] !== expected[name]);
  const lists = Object.entries({ missing, unexpected, different: other }).filter(([, list]) => list.length > 0);
  return lists.length === 0 ? undefined : lists.map(([what, list]) => `${what}: ${list.join(', ')}`).join('; ');
}
