// Writes checkpoints by the protocol of layout.ts.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  fileSystemError,
  fileSystemReason,
  type HostTensor,
  makeFolders,
  writeFileAtomic,
  writeSafetensors,
} from '@tb/io';
import { readParameters } from '@tb/nn';
import type { TrainState } from '../train-step.js';
import {
  checkpointFiles,
  checkpointFormat,
  checkpointName,
  checkpointPattern,
  checkpointsOf,
  setAsidePattern,
  unfinishedPattern,
} from './layout.js';
import { writeManifest } from './manifest.js';
import type { Progress } from './progress.js';

/** Options of `saveCheckpoint`. */
export type SaveOptions = {
  /** Checkpoints to keep: all but the newest are removed. */
  keep?: number;
  /** What the weights state about themselves (see `describeWeights`). */
  metadata?: Record<string, string>;
};

/** A checkpoint that was saved. */
export type SavedCheckpoint = {
  /** The checkpoint's folder. */
  folder: string;
  /** What should have been removed and could not be, each with the reason. */
  leftovers: string[];
};

/**
 * Writes the checkpoint of the current step, and removes all but the newest checkpoints of the run.
 *
 * @param run - the run's folder
 * @throws Error when it cannot be written (disk full, no permission), saying whether anything was left behind
 */
export async function saveCheckpoint(
  run: string,
  state: TrainState,
  progress: Progress,
  options: SaveOptions = {},
): Promise<SavedCheckpoint> {
  return (await beginCheckpoint(run, state, progress, options)).written;
}

/** A checkpoint that is being written. */
export type BegunCheckpoint = {
  /** Resolves when the checkpoint is complete on the disk; rejects as `saveCheckpoint` throws. */
  written: Promise<SavedCheckpoint>;
};

/**
 * Copies the state to the host and begins to write its checkpoint; see `saveCheckpoint`. When this resolves, the state and
 * the progress may change, while the write continues from the copies. A run must have one write in progress at a time.
 *
 * @throws Error when the state cannot be copied
 */
export async function beginCheckpoint(
  run: string,
  state: TrainState,
  progress: Progress,
  { keep = 3, metadata }: SaveOptions = {},
): Promise<BegunCheckpoint> {
  const root = checkpointsOf(run);
  const name = checkpointName(progress.step);
  const folder = join(root, name);
  const temporary = join(root, `.${name}.${randomBytes(4).toString('hex')}.tmp`);
  const attempt = <T>(work: Promise<T>): Promise<T> =>
    work.catch(async (error) => {
      const left = await undo(temporary, folder);
      throw new Error(`checkpoint ${folder} cannot be written: ${fileSystemReason(error, root)}; ${left}`);
    });
  const copy = await attempt(copyToHost(state, progress));
  const write = async () => {
    await writeFiles(temporary, copy, metadata);
    await restoreSetAside(root);
    await giveName(temporary, folder);
  };
  const written = attempt(write()).then(async () => ({ folder, leftovers: await prune(root, keep) }));
  return { written };
}

/** Everything that a checkpoint holds, in host memory. */
type StateCopy = Record<'params' | 'ema' | 'optimizer', Record<string, HostTensor>> & { progress: string };

async function copyToHost({ params, ema, optimizer }: TrainState, progress: Progress): Promise<StateCopy> {
  const text = `${JSON.stringify(progress, null, 2)}\n`;
  const [ofParams, ofAverage] = [await readParameters(params), await readParameters(ema)];
  return { params: ofParams, ema: ofAverage, optimizer: await readParameters(optimizer), progress: text };
}

async function writeFiles(
  folder: string,
  { params, ema, optimizer, progress }: StateCopy,
  metadata: Record<string, string> | undefined,
): Promise<void> {
  await makeFolders(folder);
  await writeSafetensors(join(folder, checkpointFiles.model), params, { metadata });
  await writeSafetensors(join(folder, checkpointFiles.ema), ema, { metadata });
  await writeSafetensors(join(folder, checkpointFiles.optimizer), optimizer);
  await writeFileAtomic(join(folder, checkpointFiles.progress), progress);
  await writeManifest(folder, checkpointFormat, Object.values(checkpointFiles));
}

/** A folder cannot be renamed onto one that is not empty, so an older checkpoint of the step is set aside first. */
async function giveName(temporary: string, folder: string): Promise<void> {
  const aside = asideOf(temporary);
  const wasThere = await rename(folder, aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  try {
    await rename(temporary, folder);
  } catch (error) {
    if (wasThere) await rename(aside, folder).catch(() => {}); // `undo` reports where it stayed
    throw error;
  }
  await flushFolder(join(folder, '..'));
}

const asideOf = (temporary: string) => `${temporary}.old`;

/** Gives checkpoints their names back that a crash left set aside. */
async function restoreSetAside(root: string): Promise<void> {
  for (const aside of await readdir(root)) {
    const name = setAsidePattern.exec(aside)?.[1];
    if (name !== undefined && !existsSync(join(root, name))) await rename(join(root, aside), join(root, name));
  }
}

/** Removes an unfinished checkpoint. @returns what is left, as the end of a sentence */
async function undo(temporary: string, folder: string): Promise<string> {
  const failure = await remove(temporary);
  const left = failure === undefined ? 'nothing was left behind' : `and it stays there unfinished: ${failure}`;
  const aside = asideOf(temporary);
  return existsSync(aside) && !existsSync(folder)
    ? `${left}; the earlier checkpoint of this step is now ${aside}, where --resume finds it`
    : `${left}, and earlier checkpoints are untouched`;
}

/**
 * Puts a run in order whose last save was killed before its end: gives a checkpoint that was set aside its name back, and removes
 * old checkpoints and unfinished ones. No write may be in progress.
 *
 * @returns what could not be removed, with the reason
 */
export async function tidyCheckpoints(run: string, keep: number): Promise<string[]> {
  const root = checkpointsOf(run);
  await restoreSetAside(root).catch((error) => {
    throw fileSystemError(root, 'used', error);
  });
  return prune(root, keep);
}

/** Removes old checkpoints and what crashes left. @returns what could not be removed, with the reason */
async function prune(root: string, keep: number): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(root);
  } catch (error) {
    return [`old checkpoints stay, for ${root} cannot be read: ${fileSystemReason(error)}`];
  }
  const old = names
    .filter((name) => checkpointPattern.test(name))
    .sort()
    .slice(0, -keep);
  const unfinished = names.filter((name) => unfinishedPattern.test(name) || setAsidePattern.test(name));
  const failures: string[] = [];
  for (const name of [...old, ...unfinished]) {
    const failure = await remove(join(root, name));
    if (failure !== undefined) failures.push(failure);
  }
  return failures;
}

/** @returns what went wrong, where the folder is still there */
async function remove(folder: string): Promise<string | undefined> {
  try {
    await rm(folder, { recursive: true, force: true });
    return undefined;
  } catch (error) {
    return existsSync(folder) ? `${folder} cannot be removed: ${fileSystemReason(error)}` : undefined;
  }
}

/** Makes a rename survive a power cut, where the system can. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
