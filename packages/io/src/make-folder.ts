import { constants, existsSync } from 'node:fs';
import { access, mkdir, rmdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileSystemError, fileSystemReason } from './file-system-reason.js';
import { removeLeftovers } from './temporary-files.js';

/**
 * Makes a folder with its parents, or finds it, and checks that files can be written there: before the work whose results it
 * is to hold. Temporary files that killed processes left in it are removed.
 *
 * @param label - what the message calls it (default: its path)
 * @returns a function that removes the folders that were made, as far as they are empty: for work that ends without a result
 * @throws Error with the reason, having left nothing behind
 */
export async function makeFolder(folder: string, label = folder): Promise<() => Promise<void>> {
  const path = resolve(folder);
  const existing = nearestExisting(path);
  const removeEmpty = async () => {
    for (let current = path; current !== existing; current = dirname(current)) {
      const failure = await rmdir(current).catch((error: NodeJS.ErrnoException) => error);
      if (failure && failure.code !== 'ENOENT' && failure.code !== 'ENAMETOOLONG') return;
    }
  };
  try {
    // The system's reason for not making a folder may hide that its parent cannot be written.
    await access(existing, constants.W_OK);
    await makeBelow(existing, path);
  } catch (error) {
    await removeEmpty();
    const { code } = error as NodeJS.ErrnoException;
    throw Object.assign(new Error(`${label} cannot be written: ${reasonOf(error)}`, { cause: error }), { code });
  }
  await removeLeftovers(path);
  return removeEmpty;
}

/**
 * Makes a folder with its parents where it does not exist, as `mkdir(…, { recursive: true })` does, but reports why it cannot.
 *
 * @throws Error with the path and the reason
 */
export async function makeFolders(folder: string): Promise<void> {
  const path = resolve(folder);
  await makeBelow(nearestExisting(path), path).catch((error) => {
    if (error.code !== 'ENOENT') throw fileSystemError(folder, 'made', error);
    throw Object.assign(new Error(`${folder} cannot be made: ${reasonOf(error)}`, { cause: error }), {
      code: 'ENOENT',
    });
  });
}

function reasonOf(error: unknown): string {
  const reason = fileSystemReason(error);
  return (error as NodeJS.ErrnoException).code === 'ENOENT' && reason === fileSystemReason({ code: 'ENOENT' })
    ? 'the system makes no folders there'
    : reason;
}

/** One folder after another: Node's own recursion never ends where the system refuses with ENOENT, as below /proc. */
async function makeBelow(existing: string, path: string): Promise<void> {
  if (path === existing) {
    if (!(await stat(path)).isDirectory()) throw Object.assign(new Error(), { code: 'EEXIST' });
    return;
  }
  if (dirname(path) !== existing) await makeBelow(existing, dirname(path));
  await mkdir(path).catch(async (error: NodeJS.ErrnoException) => {
    const status = error.code === 'EEXIST' ? await stat(path).catch(() => undefined) : undefined;
    if (!status?.isDirectory()) throw error; // another process may have made it
  });
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}
