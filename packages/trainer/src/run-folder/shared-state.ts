// The training state of a resumed run in every process of a group, wherever the run folder is.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  getJson,
  type ProcessGroup,
  type ProcessStore,
  putJson,
  receiveBytes,
  sendBytes,
  waitForKey,
} from '@tb/runtime';
import { checkpointFiles, checkpointsOf, manifestFile } from './layout.js';
import { type LoadedState, type LoadStateOptions, loadNewestState, loadStateOf } from './training-state.js';

/** Process 0 may have gigabytes to read, and to check. */
const timeoutMs = 60 * 60_000;
/** What is in memory at a time of a checkpoint that is sent. */
const pieceBytes = 64 * 2 ** 20;

type Group = ProcessGroup & { readonly store: ProcessStore };

/** What process 0 makes known. */
type Announcement = { failed?: string; checkpoint?: { name: string; sha256: string; files: Record<string, number> } };

/**
 * Loads the newest intact checkpoint of a run in all processes of a group: the one that process 0 finds. A process that does
 * not see the same checkpoint in its run folder gets it from process 0.
 *
 * @param key - of the store, different for each call; the same in all processes
 * @returns undefined in all processes when the run has no checkpoints
 * @throws Error in all processes, as `loadNewestState`
 */
export async function loadSharedState(
  run: string,
  group: ProcessGroup,
  key: string,
  options: LoadStateOptions,
): Promise<LoadedState | undefined> {
  const { count, store } = group;
  if (count === 1 || !store) return loadNewestState(run, options);
  return group.index === 0
    ? loadAndSend(run, { ...group, store }, key, options)
    : receive(run, { ...group, store }, key, options);
}

async function loadAndSend(
  run: string,
  group: Group,
  key: string,
  options: LoadStateOptions,
): Promise<LoadedState | undefined> {
  const { count, store } = group;
  let state: LoadedState | undefined;
  try {
    state = await loadNewestState(run, options);
    putJson(store, key, { checkpoint: state && (await describe(state.folder)) } satisfies Announcement);
  } catch (error) {
    putJson(store, key, { failed: (error as Error).message } satisfies Announcement);
    throw error;
  }
  if (!state) return undefined;
  const receivers: number[] = [];
  for (let other = 1; other < count; other++) {
    await waitForKey(store, `${key}/ready/${other}`, { timeoutMs });
    if (!getJson<boolean>(store, `${key}/ready/${other}`, { timeoutMs })) receivers.push(other);
  }
  if (receivers.length > 0) await sendFiles(state.folder, group, key, receivers);
  return state;
}

async function describe(folder: string): Promise<NonNullable<Announcement['checkpoint']>> {
  const files: Record<string, number> = {};
  for (const file of [...Object.values(checkpointFiles), manifestFile])
    files[file] = (await stat(join(folder, file))).size;
  return { name: basename(folder), sha256: await hashOfManifest(folder), files };
}

/** The manifest holds the hash of every file, so its hash is that of the checkpoint. */
async function hashOfManifest(folder: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(join(folder, manifestFile)))
    .digest('hex');
}

async function receive(
  run: string,
  group: Group,
  key: string,
  { shapes }: LoadStateOptions,
): Promise<LoadedState | undefined> {
  const { index, store } = group;
  await waitForKey(store, key, { timeoutMs });
  const { failed, checkpoint } = getJson<Announcement>(store, key, { timeoutMs });
  if (failed !== undefined) throw new Error(failed);
  if (!checkpoint) return undefined;
  const own = join(checkpointsOf(run), checkpoint.name);
  const isThere = (await hashOfManifest(own).catch(() => undefined)) === checkpoint.sha256;
  putJson(store, `${key}/ready/${index}`, isThere);
  if (isThere) return { ...(await loadStateOf(own, { shapes })), damaged: [] };
  // An unfinished checkpoint by its name: should this process be killed, the next one to save here removes it.
  const temporary = join(checkpointsOf(run), `.${checkpoint.name}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    await receiveFiles(temporary, group, key, checkpoint.files);
    return { ...(await loadStateOf(temporary, { shapes })), folder: own, damaged: [] };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function sendFiles(folder: string, group: Group, key: string, receivers: readonly number[]): Promise<void> {
  for (const [file, size] of Object.entries((await describe(folder)).files)) {
    const handle = await open(join(folder, file));
    try {
      for (let start = 0; start < size; start += pieceBytes) {
        const piece = Buffer.alloc(Math.min(pieceBytes, size - start));
        await handle.read(piece, 0, piece.length, start);
        sendBytes(group, `${key}/${file}/${start}`, piece, { timeoutMs, receivers });
        await new Promise(setImmediate); // lets signals in
      }
    } finally {
      await handle.close();
    }
  }
}

async function receiveFiles(folder: string, group: Group, key: string, files: Record<string, number>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [file, size] of Object.entries(files)) {
    const handle = await open(join(folder, file), 'w');
    try {
      for (let start = 0; start < size; start += pieceBytes) {
        await handle.write(receiveBytes(group, `${key}/${file}/${start}`, { timeoutMs }), 0, undefined, start);
        await new Promise(setImmediate);
      }
    } finally {
      await handle.close();
    }
  }
}
