import { constants } from 'node:fs';
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
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new UsageError(`${flag} ${folder} cannot be written: ${fileSystemReason(error)}`);
  }
}

/**
 * Checks that a file can be written, before the work whose result it is to hold.
 *
 * @throws UsageError when its folder cannot be used or a folder has its name
 */
export async function prepareFile(flag: string, file: string): Promise<void> {
  await prepareFolder(flag, dirname(file));
  const existing = await stat(file).catch(() => undefined);
  if (existing?.isDirectory()) throw new UsageError(`${flag} ${file} must name a file, and a folder has that name`);
}
