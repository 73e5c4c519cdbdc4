// One process works in a folder at a time: a run, a cache, generated images, an evaluation. The lock is a file with the
// name of the process; that of a process which has ended does not count.
import { readFileSync, rmSync } from 'node:fs';
import { link, open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSystemError } from './file-system-reason.js';
import { InputError } from './input-error.js';
import { jsonShape, parseJson } from './json-file.js';
import { printable } from './printable.js';
import { hasEnded, type ProcessIdentity, thisProcess } from './process-identity.js';
import { temporaryPath } from './temporary-files.js';

/** Name of the lock in its folder. */
export const lockFile = '.tb-lock';

/** Another process works in the folder. */
export class FolderInUseError extends InputError {}

/** What a lock file holds. */
type Owner = ProcessIdentity & {
  /** When it took the folder, as an ISO date. */
  since: string;
  /** The command, for a message. */
  work: string;
};

/** Locks of this process by the real path of their folder. `content` is that of the lock file, once it is taken. */
const held = new Map<string, { holders: number; content: Promise<string>; taken?: string }>();

/**
 * Takes a folder for this process, until the returned function is called or the process ends. Within one process a folder
 * may be taken several times.
 *
 * @param named - what the message calls the folder (default: its path)
 * @returns a function that gives the folder back
 * @throws FolderInUseError, when another process works there, with its PID, its host and since when; Error when the lock
 *   cannot be written
 */
export async function lockFolder(folder: string, named = folder): Promise<() => Promise<void>> {
  const path = await realpath(folder).catch((error) => {
    throw fileSystemError(folder, 'used', error);
  });
  giveBackAtExit();
  const lock = held.get(path) ?? { holders: 0, content: take(join(path, lockFile), named) };
  held.set(path, lock);
  lock.holders++;
  const leave = () => {
    lock.holders--;
    if (lock.holders === 0) held.delete(path);
    return lock.holders === 0;
  };
  try {
    lock.taken = await lock.content;
  } catch (error) {
    leave();
    throw error;
  }
  let isReleased = false;
  return async () => {
    if (isReleased) return;
    isReleased = true;
    if (leave()) remove(join(path, lockFile), lock.taken);
  };
}

/** @returns the content of the lock file */
async function take(lock: string, named: string): Promise<string> {
  const owner: Owner = { ...thisProcess(), since: new Date().toISOString(), work: commandOf() };
  const content = `${JSON.stringify(owner)}\n`;
  const temporary = temporaryPath(lock);
  try {
    await writeDurably(temporary, content);
    while (!(await nameAs(temporary, lock))) await removeIfLeft(lock, named);
    return content;
  } catch (error) {
    throw error instanceof FolderInUseError ? error : fileSystemError(lock, 'written', error);
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
}

/** What was typed, without the path of Node and that of the program's folder. */
const commandOf = () =>
  process.argv
    .slice(1, 3)
    .map((word) => word.split(/[\\/]/).at(-1))
    .join(' ');

async function writeDurably(path: string, content: string): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Gives a file its name, unless there is one of that name. So a lock is never seen without its content. */
async function nameAs(file: string, name: string): Promise<boolean> {
  try {
    await link(file, name);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS' && code !== 'EOPNOTSUPP') throw error;
  }
  return copyAs(file, name); // a file system without hard links
}

async function copyAs(file: string, name: string): Promise<boolean> {
  try {
    await writeDurably(name, await readFile(file, 'utf8'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a lock whose process has ended. @throws FolderInUseError when it has not, or this cannot be found out */
async function removeIfLeft(lock: string, named: string): Promise<void> {
  const content = await readFile(lock, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined; // given back just now
    throw error;
  });
  if (content === undefined) return;
  const owner = parseOwner(content, lock, named);
  const ended = hasEnded(owner);
  if (!ended) throw inUse(owner, ended === undefined ? lock : undefined, named);
  // Another newcomer may have taken the folder since: what is removed must be the lock that was read.
  const aside = temporaryPath(lock);
  const isMoved = await rename(lock, aside).then(
    () => true,
    () => false,
  );
  if (!isMoved) return;
  if ((await readFile(aside, 'utf8')) !== content) await nameAs(aside, lock);
  await rm(aside, { force: true });
}

const ownerShape = jsonShape.object({
  pid: jsonShape.count,
  start: jsonShape.count,
  host: jsonShape.text,
  machine: jsonShape.text,
  boot: jsonShape.text,
  pidNamespace: jsonShape.text,
  hostNamespace: jsonShape.text,
  since: jsonShape.text,
  work: jsonShape.text,
});

function parseOwner(content: string, lock: string, named: string): Owner {
  try {
    return parseJson(content, ownerShape, lock);
  } catch {
    throw new FolderInUseError(
      'lockFolder',
      `${named} may be in use: ${lock} does not state by which process. Remove that file if nothing works in the folder`,
    );
  }
}

/** @param removable - the lock, where nobody but the reader can know whether its process has ended */
function inUse(owner: Owner, removable: string | undefined, named: string): FolderInUseError {
  const { pid, host, work } = owner;
  const short = (text: string) => printable(text.slice(0, 80));
  const since = short(owner.since.replace(/\.\d+Z$/, 'Z'));
  const process = `process ${pid} on ${short(host)} (${short(work)}) has been working there since ${since}`;
  const advice =
    removable === undefined
      ? 'wait until it has ended, or choose another folder'
      : `if it has ended, remove ${removable}; else choose another folder`;
  return new FolderInUseError('lockFolder', `${named} is in use: ${process}; ${advice}`);
}

/** Removes a lock of this process. One that stays because it cannot be removed does not count once the process has ended. */
function remove(lock: string, content: string | undefined): void {
  try {
    if (readFileSync(lock, 'utf8') === content) rmSync(lock);
  } catch {}
}

let isListening = false;

/** For a process that ends in the middle of its work. */
function giveBackAtExit(): void {
  if (isListening) return;
  isListening = true;
  process.once('exit', () => {
    for (const [folder, { taken }] of held) remove(join(folder, lockFile), taken);
  });
}
