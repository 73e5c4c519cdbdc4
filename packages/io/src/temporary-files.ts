import { createHash, randomBytes } from 'node:crypto';
import { lstat, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive, thisProcess } from './process-identity.js';

// A file that is being written is called `.NAME.PLACE-PID-START-RANDOM.tmp` (hexadecimal numbers) until it is complete. A
// killed process leaves it behind. PLACE identifies the system in which PID means something; START distinguishes the process from
// a later one with the same PID. So the next writer knows what was left behind and what is still being written.

/** A name in the same folder for the time of writing `path`. */
export function temporaryPath(path: string): string {
  const { pid, start } = thisProcess();
  const owner = `${thisPlace()}-${pid.toString(16)}-${start.toString(16)}`;
  return join(dirname(path), `.${shortened(basename(path))}.${owner}-${randomBytes(4).toString('hex')}.tmp`);
}

const OWNED = /^\..+\.([0-9a-f]{8})-([0-9a-f]{1,8})-([0-9a-f]{1,12})-[0-9a-f]{8}\.tmp$/s;

/** Names of files that nobody signed: `.NAME.RANDOM.tmp`. */
const UNSIGNED = /^\.(.+)\.[0-9a-f]{12}\.tmp$/s;

/** Long names are cut, so that the temporary name is not too long for the file system. */
const LONGEST_NAME_BYTES = 160;

/** Files of other systems are left behind if nothing was written to them for so long, in milliseconds. */
const LONGEST_PAUSE = 24 * 60 * 60 * 1000;

/** A folder is searched at most this often, in milliseconds: it may hold many thousand files. */
const SEARCH_INTERVAL = 60_000;

/**
 * Removes the temporary files of `writeFileAtomic` that killed processes left in a folder. Files that a living process is
 * writing stay, and so do files of processes on other computers unless nothing was written to them for a day.
 *
 * Does nothing where the folder cannot be read. `writeFileAtomic` and `makeFolder` call it.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  await search(folder);
}

/**
 * Removes leftovers of the folder in which `path` is, at most once a minute, and every unsigned leftover of `path` itself.
 */
export async function removeLeftoversOf(path: string): Promise<void> {
  const folder = dirname(path);
  let last = searches.get(folder);
  if (last === undefined || Math.abs(performance.now() - last.time) > SEARCH_INTERVAL) {
    last = { time: performance.now(), unsigned: search(folder) };
    searches.set(folder, last);
  }
  const unsigned = await last.unsigned;
  const files = unsigned.get(basename(path)) ?? [];
  unsigned.delete(basename(path));
  for (const file of files) {
    const changed = await timeOfChange(file);
    if (changed !== undefined && changed < Date.now() - 1000 * process.uptime())
      await rm(file, { force: true }).catch(() => {});
  }
}

type Unsigned = Map<string, string[]>;

const searches = new Map<string, { time: number; unsigned: Promise<Unsigned> }>();

/** Removes the signed leftovers of a folder, and returns the unsigned ones by the name of the file that they were to be. */
async function search(folder: string): Promise<Unsigned> {
  const unsigned: Unsigned = new Map();
  for (const name of await readdir(folder).catch(() => [])) {
    const file = join(folder, name);
    const [, place, pid, start] = OWNED.exec(name) ?? [];
    if (place !== undefined) {
      const owner = { place, pid: Number.parseInt(pid!, 16), start: Number.parseInt(start!, 16) };
      if (await isLeft(file, owner)) await rm(file, { force: true }).catch(() => {});
      continue;
    }
    const target = UNSIGNED.exec(name)?.[1];
    if (target !== undefined) unsigned.set(target, [...(unsigned.get(target) ?? []), file]);
  }
  return unsigned;
}

async function isLeft(file: string, owner: { place: string; pid: number; start: number }): Promise<boolean> {
  const changed = await timeOfChange(file);
  if (changed === undefined) return false;
  if (owner.place === thisPlace()) return !isAlive(owner);
  return Date.now() - changed > LONGEST_PAUSE;
}

/** When a file was last written to, in milliseconds; undefined for anything but a file. */
async function timeOfChange(file: string): Promise<number | undefined> {
  const status = await lstat(file).catch(() => undefined);
  return status?.isFile() ? status.mtimeMs : undefined;
}

function shortened(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= LONGEST_NAME_BYTES) return name;
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 8);
  return `${bytes
    .subarray(0, LONGEST_NAME_BYTES - 16)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}~${hash}`;
}

/** Eight digits for the computer, its start, and the container: within one place, a PID names one living process. */
function thisPlace(): string {
  const { host, boot, pidNamespace } = thisProcess();
  return createHash('sha256').update([host, boot, pidNamespace].join('\0')).digest('hex').slice(0, 8);
}
