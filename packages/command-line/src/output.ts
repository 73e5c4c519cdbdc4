import { constants, existsSync } from 'node:fs';
import { access, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileSystemReason } from '@tb/io';
import { UsageError } from './resolve.js';

/**
 * Makes a folder, or finds it, and checks that files can be written there.
 *
 * @param flag - the option that names it, for the message
 * @throws UsageError when it cannot be used
 */
export async function prepareFolder(flag: string, folder: string): Promise<void> {
  await makeFolder(folder, `${flag} ${folder}`);
}

/**
 * Checks that a file can be written, before the work whose result it is to hold.
 *
 * @param ending - that its name must have, such as `.png`, whatever the case
 * @throws UsageError when its folder cannot be used, a folder has its name, or it ends otherwise
 */
export async function prepareFile(flag: string, file: string, ending = ''): Promise<void> {
  if (!file.toLowerCase().endsWith(ending))
    throw new UsageError(`${flag} must name a file that ends with ${ending}, got ${JSON.stringify(file)}`);
  await makeFolder(dirname(file), `${flag} ${file}`);
  const existing = await stat(file).catch(() => undefined);
  if (existing?.isDirectory()) throw new UsageError(`${flag} ${file} must name a file, and a folder has that name`);
}

async function makeFolder(folder: string, named: string): Promise<void> {
  try {
    // The system's reason for not making a folder may hide that its parent cannot be written.
    await access(nearestExisting(folder), constants.W_OK);
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new UsageError(`${named} cannot be written: ${fileSystemReason(error)}`);
  }
}

function nearestExisting(path: string): string {
  const parent = dirname(path);
  return existsSync(path) || parent === path ? path : nearestExisting(parent);
}
