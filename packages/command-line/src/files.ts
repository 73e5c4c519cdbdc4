// The files and folders that options name.
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { lockFolder, makeFolder } from '@tb/io';
import type { Share } from '@tb/runtime';
import { UsageError } from './options.js';

/** @throws UsageError when there is no file or folder of that name */
export function assertExists(flag: string, path: string): void {
  if (!existsSync(path)) throw new UsageError(`${flag} ${path} does not exist`);
}

/** Give the folders back that were locked, and remove those that were made and are empty. */
const undoes: (() => Promise<void>)[] = [];

/**
 * Makes a folder, or finds it, checks that files can be written there, and takes it for this process. `runProgram` gives it
 * back, and removes it if it stayed empty.
 *
 * @param flag - the option that names it, for the message
 * @param share - the part of the work in the folder that this process does, where several processes share it
 * @throws UsageError when it cannot be used; FolderInUseError when another process works there
 */
export async function prepareFolder(flag: string, folder: string, share?: Share): Promise<void> {
  await prepare(folder, `${flag} ${folder}`);
  undoes.push(await lockFolder(folder, `${flag} ${folder}`, share));
}

/**
 * Checks that a file can be written, before the work whose result it is to hold; makes its folder, as `prepareFolder` does.
 *
 * @param ending - that its name must have, such as `.png`, whatever the case
 * @throws UsageError when its folder cannot be used, a folder has its name, or it ends otherwise
 */
export async function prepareFile(flag: string, file: string, ending = ''): Promise<void> {
  if (!file.toLowerCase().endsWith(ending))
    throw new UsageError(`${flag} must name a file that ends with ${ending}, got ${JSON.stringify(file)}`);
  await prepare(dirname(file), `${flag} ${file}`);
  const existing = await stat(file).catch(() => undefined);
  if (existing?.isDirectory()) throw new UsageError(`${flag} ${file} must name a file, and a folder has that name`);
}

async function prepare(folder: string, named: string): Promise<void> {
  try {
    undoes.push(await makeFolder(folder, named));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Gives the prepared folders back, and removes those in which nothing was written. */
export async function leaveFolders(): Promise<void> {
  for (const undo of undoes.splice(0).reverse()) await undo();
}
