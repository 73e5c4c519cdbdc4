import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileSha256, fileSystemError, jsonShape, printable, readJson, writeFileAtomic } from '@tb/io';
import { manifestFile } from './layout.js';

/** Lists the files of a folder with their hashes. It is written last: a folder that has one is complete. */
export type Manifest = {
  format: string;
  version: 1;
  files: Record<string, { bytes: number; sha256: string }>;
};

/**
 * Writes the manifest of files that are in the folder already, atomically.
 *
 * @param format - the folder's kind, which `findDamage` compares
 * @param files - names of files in the folder
 * @throws Error when one of them cannot be read
 */
export async function writeManifest(folder: string, format: string, files: readonly string[]): Promise<void> {
  const manifest: Manifest = { format, version: 1, files: {} };
  for (const file of files) {
    const path = join(folder, file);
    manifest.files[file] = { bytes: (await stat(path)).size, sha256: await fileSha256(path) };
  }
  await writeFileAtomic(join(folder, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
}

/**
 * Reads the manifest of a folder; the files that it lists are not looked at.
 *
 * @throws Error that names the manifest, and what is wrong with it
 */
export async function readManifest(folder: string, format: string): Promise<Manifest> {
  const { count, object, oneOf, passing, record, text } = jsonShape;
  const files = record(object({ bytes: count, sha256: text }));
  const shape = object({
    format: oneOf(format),
    version: oneOf(1),
    files: passing(files, 'files of its folder', (all) => Object.keys(all).every((file) => basename(file) === file)),
  });
  return readJson(join(folder, manifestFile), shape);
}

/**
 * Checks that a folder is complete and unchanged.
 *
 * @param required - files that its manifest must list
 * @returns what is wrong, with the file's path, or undefined when every file has the hash that it was written with
 */
export async function findDamage(
  folder: string,
  format: string,
  required: readonly string[] = [],
): Promise<string | undefined> {
  let manifest: Manifest;
  try {
    manifest = await readManifest(folder, format);
  } catch (error) {
    return (error as Error).message;
  }
  const unlisted = required.find((file) => !Object.hasOwn(manifest.files, file));
  if (unlisted !== undefined) return `${join(folder, manifestFile)} does not list ${unlisted}`;
  for (const [file, { sha256 }] of Object.entries(manifest.files)) {
    const path = join(folder, file);
    try {
      if ((await fileSha256(path)) !== sha256)
        return `${printable(path)} does not have the SHA-256 it was written with`;
    } catch (error) {
      return fileSystemError(path, 'read', error).message;
    }
  }
  return undefined;
}
