import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Writes a file, and its folder if needed, so that the file is either complete or absent.
 *
 * @param modes - permissions of what is made; default: the process's own
 * @throws Error of the file system, with nothing left behind but the folder
 */
export function writeWholeFile(
  path: string,
  content: Uint8Array,
  modes: { folder?: number; file?: number } = {},
): void {
  const temporary = `${path}.${process.pid}.${Date.now()}`;
  mkdirSync(dirname(path), { recursive: true, mode: modes.folder });
  try {
    writeFileSync(temporary, content, { mode: modes.file });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
