// The training state of a resumed run in every process of a group, wherever the run folder is.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  fromFirstProcess,
  nextKey,
  type ProcessGroup,
  type ProcessStore,
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

/** A checkpoint of process 0: its name, the hash of its manifest, and the bytes of each file. */
type SharedCheckpoint = { name: string; sha256: string; files: Record<string, number> };

/**
 * Loads the newest intact checkpoint of a run in all processes of a group: the one that process 0 finds. A process that does
 * not see the same checkpoint in its run folder gets it from process 0.
 *
 * @returns undefined in all processes when the run has no checkpoints
 * @throws Error in all processes, as `loadNewestState`
 */
export async function loadSharedState(
  run: string,
  processes: ProcessGroup,
  options: LoadStateOptions,
): Promise<LoadedState | undefined> {
  const { index, count, store } = processes;
  if (count === 1 || !store) return loadNewestState(run, options);
  const group = { ...processes, store };
  const key = nextKey(processes, 'restore');
  const loading = index === 0 ? loadNewestState(run, options) : undefined;
  const describeLoaded = async () => {
    const state = await loading;
    return state && describe(state.folder);
  };
  const checkpoint = await fromFirstProcess(group, key, describeLoaded, { timeoutMs });
  if (!checkpoint) return undefined;
  const own = await loading;
  if (!own) return receive(run, group, key, checkpoint, options);
  await sendToOthers(own.folder, group, key, checkpoint);
  return own;
}

async function describe(folder: string): Promise<SharedCheckpoint> {
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

/** Sends the checkpoint to the processes that do not see it. */
async function sendToOthers(folder: string, group: Group, key: string, { files }: SharedCheckpoint): Promise<void> {
  const receivers: number[] = [];
  for (let other = 1; other < group.count; other++) {
    const [isThere] = await waitForKey(group.store, `${key}/ready/${other}`, { timeoutMs });
    if (!isThere) receivers.push(other);
  }
  if (receivers.length > 0) await sendFiles(folder, group, key, files, receivers);
}

async function receive(
  run: string,
  group: Group,
  key: string,
  { name, sha256, files }: SharedCheckpoint,
  { shapes }: LoadStateOptions,
): Promise<LoadedState> {
  const own = join(checkpointsOf(run), name);
  const isThere = (await hashOfManifest(own).catch(() => undefined)) === sha256;
  group.store.put(`${key}/ready/${group.index}`, Uint8Array.of(isThere ? 1 : 0));
  if (isThere) return { ...(await loadStateOf(own, { shapes })), damaged: [] };
  // An unfinished checkpoint by its name: should this process be killed, the next one to save here removes it.
  const temporary = join(checkpointsOf(run), `.${name}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    await receiveFiles(temporary, group, key, files);
    return { ...(await loadStateOf(temporary, { shapes })), folder: own, damaged: [] };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function sendFiles(
  folder: string,
  group: Group,
  key: string,
  files: Record<string, number>,
  receivers: readonly number[],
): Promise<void> {
  for (const [file, size] of Object.entries(files)) {
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
