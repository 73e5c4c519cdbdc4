import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSha256, writeFileAtomic } from '@tb/io';

/** Lists the files of a folder with their hashes. Written last, it says that the folder is whole. */
export type Manifest = {
  format: string;
  version: 1;
  files: Record<string, { bytes: number; sha256: string }>;
};

const fileName = 'manifest.json';

/**
 * Writes the manifest of files that stand in the folder already, atomically.
 *
 * @param format - the folder's kind, which `findDamage` compares
 * @param files - paths relative to the folder
 * @throws Error when one of them cannot be read
 */
export async function writeManifest(folder: string, format: string, files: readonly string[]): Promise<void> {
  const manifest: Manifest = { format, version: 1, files: {} };
  for (const file of files) {
    const path = join(folder, file);
    manifest.files[file] = { bytes: (await stat(path)).size, sha256: await fileSha256(path) };
  }
  await writeFileAtomic(join(folder, fileName), `${JSON.stringify(manifest, null, 2)}\n`);
}

/**
 * @returns what is wrong with the folder in words, or undefined when every file is there with the hash it should have
 */
export async function findDamage(folder: string, format: string): Promise<string | undefined> {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(await readFile(join(folder, fileName), 'utf8'));
  } catch {
    return `${fileName} is missing or unreadable`;
  }
  if (manifest.format !== format || manifest.version !== 1 || typeof manifest.files !== 'object') {
    return `${fileName} does not describe a ${format} of version 1`;
  }
  for (const [file, { sha256 }] of Object.entries(manifest.files)) {
    try {
      if ((await fileSha256(join(folder, file))) !== sha256)
        return `${file} does not have the SHA-256 it was written with`;
    } catch (error) {
      return `${file} cannot be read: ${(error as Error).message}`;
    }
  }
  return undefined;
}
