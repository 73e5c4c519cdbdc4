import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';

/**
 * Writes a file, and its folder if needed, so that the file is either complete or absent. What a killed process left of an
 * earlier attempt is removed.
 *
 * @param modes - permissions of what is made; default: the process's own
 * @throws Error of the file system, with nothing left behind but the folder
 */
export function writeWholeFile(
  path: string,
  content: Uint8Array,
  modes: { folder?: number; file?: number } = {},
): void {
  const temporary = `${path}.${process.pid}.${threadId}${Date.now()}`;
  mkdirSync(dirname(path), { recursive: true, mode: modes.folder });
  removeLeftovers(path);
  try {
    writeFileSync(temporary, content, { mode: modes.file });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** No write takes an hour, in milliseconds. */
const LONGEST_WRITE = 60 * 60 * 1000;

function removeLeftovers(path: string): void {
  const prefix = `${basename(path)}.`;
  for (const name of readdirSync(dirname(path))) {
    if (!name.startsWith(prefix) || !/^\d+\.\d+$/.test(name.slice(prefix.length))) continue;
    const temporary = join(dirname(path), name);
    const changed = statSync(temporary, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (Date.now() - changed > LONGEST_WRITE) rmSync(temporary, { force: true });
  }
}
