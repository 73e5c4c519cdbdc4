import { constants, existsSync } from 'node:fs';
import { access, mkdir, rmdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileSystemReason } from './file-system-reason.js';

/**
 * Makes a folder with its parents, or finds it, and checks that files can be written there: before the work whose results it
 * is to hold.
 *
 * @param named - what the message calls it (default: its path)
 * @returns what removes those again that were made, as far as they are empty: for work that ends before there is a result
 * @throws Error with the reason, having left nothing behind
 */
export async function makeFolder(folder: string, named = folder): Promise<() => Promise<void>> {
  const path = resolve(folder);
  const existing = nearestExisting(path);
  const removeEmpty = async () => {
    for (let each = path; each !== existing; each = dirname(each)) {
      const failure = await rmdir(each).catch((error: NodeJS.ErrnoException) => error);
      if (failure && failure.code !== 'ENOENT' && failure.code !== 'ENAMETOOLONG') return;
    }
  };
  try {
    // The system's reason for not making a folder may hide that its parent cannot be written.
    await access(existing, constants.W_OK);
    await makeBelow(existing, path);
    return removeEmpty;
  } catch (error) {
    await removeEmpty();
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'the system makes no folders there' : fileSystemReason(error);
    throw new Error(`${named} cannot be written: ${reason}`, { cause: error });
  }
}

/** One folder after another: Node's own recursion never ends where the system refuses with ENOENT, as below /proc. */
async function makeBelow(existing: string, path: string): Promise<void> {
  if (path === existing) {
    if (!(await stat(path)).isDirectory()) throw Object.assign(new Error(), { code: 'EEXIST' });
    return;
  }
  if (dirname(path) !== existing) await makeBelow(existing, dirname(path));
  await mkdir(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error; // another process may have made it
  });
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}
