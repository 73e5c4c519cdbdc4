// One process works in a folder at a time: a run, a cache, generated images, an evaluation. The lock is a file with the
// name of the process; that of a process which has ended does not count. The processes of a job that share the work in a
// folder have a lock each.
import { readFileSync, rmSync } from 'node:fs';
import { link, open, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
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
  job?: JobIdentity | null;
};

/** The job of a process whose launcher starts it again after a failure. */
export type JobIdentity = {
  /** Known only to the processes of this job. */
  key: string;
  /** How often the job was started before. */
  incarnation: number;
};

let ownJob: JobIdentity | undefined;

/**
 * States the job of this process. Locks of earlier starts of the job no longer count, because the launcher has ended those
 * processes. This includes processes on other computers, which cannot be checked from here.
 */
export function identifyJob(job: JobIdentity | undefined): void {
  ownJob = job;
}

/** A part of the work in a folder: processes of a job that have different parts work there at the same time. */
type FolderShare = { readonly index: number; readonly count: number };

const lockName = (share: FolderShare) =>
  share.count === 1 ? lockFile : `${lockFile}-${share.index}-of-${share.count}`;

/** Locks of this process by their real path. `content` is that of the lock file, once it is taken. */
const held = new Map<string, { holders: number; content: Promise<string>; taken?: string }>();

/**
 * Takes a folder for this process, until the returned function is called or the process ends. Within one process a folder
 * may be taken several times.
 *
 * @param named - what the message calls the folder (default: its path)
 * @param share - the part of the work that this process does; processes with other parts of as many may be there too
 * @returns a function that gives the folder back
 * @throws FolderInUseError, when another process works there, with its PID, its host and since when; Error when the lock
 *   cannot be written
 */
export async function lockFolder(
  folder: string,
  named = folder,
  share: FolderShare = { index: 0, count: 1 },
): Promise<() => Promise<void>> {
  const realFolder = await realpath(folder).catch((error) => {
    throw fileSystemError(folder, 'used', error);
  });
  const path = join(realFolder, lockName(share));
  giveBackAtExit();
  const lock = held.get(path) ?? { holders: 0, content: takeAlone(realFolder, share, named) };
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
    if (leave()) remove(path, lock.taken);
  };
}

/**
 * Takes a folder, unless a process works there whose lock does not go with this share's. The own lock comes first, so that
 * of two newcomers at least one sees the other's.
 *
 * @returns the content of the lock file
 */
async function takeAlone(folder: string, share: FolderShare, named: string): Promise<string> {
  const lock = join(folder, lockName(share));
  const content = await take(lock, named);
  try {
    for (const file of await readdir(folder)) {
      const found = /^\.tb-lock(?:-\d+-of-(\d+))?$/.exec(file);
      if (found && Number(found[1] ?? 1) !== share.count) await removeIfLeft(join(folder, file), named);
    }
    return content;
  } catch (error) {
    remove(lock, content);
    throw error instanceof FolderInUseError ? error : fileSystemError(folder, 'used', error);
  }
}

/** @returns the content of the lock file */
async function take(lock: string, named: string): Promise<string> {
  const owner: Owner = { ...thisProcess(), since: new Date().toISOString(), work: commandOf(), job: ownJob };
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
  const ended = isOfEarlierStart(owner) || hasEnded(owner);
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

/** Whether the launcher of this process has ended the owner, to start its job again. */
const isOfEarlierStart = ({ job }: Owner): boolean =>
  !!job && job.key === ownJob?.key && job.incarnation < ownJob.incarnation;

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
  job: jsonShape.optional(jsonShape.object({ key: jsonShape.text, incarnation: jsonShape.count })),
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
    for (const [lock, { taken }] of held) remove(lock, taken);
  });
}
