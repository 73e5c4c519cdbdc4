// Reads run folders; nothing here writes, so a run can be sampled from while it is trained.
import { existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileSystemReason, InputError } from '@tb/io';
import {
  checkpointFiles,
  checkpointFormat,
  checkpointPattern,
  checkpointsOf,
  finishedWeightsOf,
  setAsidePattern,
} from './layout.js';
import { findDamage, type Manifest, readManifest } from './manifest.js';
import { type Progress, readProgress } from './progress.js';
import { readWeightsMetadata, type WeightsInfo } from './weights-info.js';

/** Which of two sets of weights: the moving average, or the weights as training left them. */
export type WeightSet = 'ema' | 'raw';

/** An intact checkpoint. */
export type Checkpoint = {
  folder: string;
  progress: Progress;
  /** What its weights state about themselves. */
  info: WeightsInfo;
  /** Size and SHA-256 of each file, as its manifest has them. */
  files: Manifest['files'];
  /** Newer checkpoints that are damaged, each with the reason. */
  damaged: readonly string[];
};

/** Weights of a run in one file. */
export type RunWeights = {
  path: string;
  set: WeightSet;
  /** Of the checkpoint that holds them; absent for the weights that the run finished with. */
  step?: number;
  /** A checkpoint that is newer than the weights that the run finished with: it was resumed since. */
  newerCheckpoint?: string;
};

/** A run of tb-train, or one of its checkpoints. */
export type RunFolder = {
  /** The run's folder, also where a checkpoint was named. */
  readonly folder: string;
  /** Whether a checkpoint was named, rather than a run. */
  readonly isCheckpoint: boolean;
  /** Whether there is any checkpoint, intact or not. */
  hasCheckpoints(): Promise<boolean>;
  /**
   * The newest intact checkpoint, or the one that was named.
   *
   * @throws Error when there are checkpoints, and all of them are damaged
   */
  newestCheckpoint(): Promise<Checkpoint | undefined>;
  /**
   * The file of a model's weights: of the averaged ones those that the run finished with, if it has.
   *
   * @throws InputError when the run has neither these nor an intact checkpoint
   */
  weights(set: WeightSet): Promise<RunWeights>;
  /** The options of the run as its newest readable checkpoint has them; none for a folder that is not a run. */
  options(): Promise<Record<string, unknown>>;
  /** Files in which the autoencoder of a model may be: the one its options name, in its folder, in `../vae`. */
  vaeCandidates(): Promise<string[]>;
};

/**
 * Opens the folder of a run, or of one of its checkpoints, for reading.
 *
 * @param path - a folder; one that is not a run is a run without checkpoints
 */
export function openRun(path: string): RunFolder {
  const isCheckpoint =
    existsSync(join(path, checkpointFiles.progress)) || (checkpointPattern.test(basename(path)) && existsSync(path));
  const folder = isCheckpoint ? join(path, '..', '..') : path;
  const candidates = () => (isCheckpoint ? Promise.resolve([path]) : listCheckpoints(folder));
  const newestCheckpoint = async () => {
    const newest = await firstIntact(await candidates(), readCheckpoint);
    return newest && { ...newest.found, damaged: newest.damaged };
  };
  const options = async () => {
    for (const checkpoint of await candidates()) {
      const progress = await readProgress(checkpoint).catch(() => undefined);
      if (progress) return progress.config;
    }
    return {};
  };
  return {
    folder,
    isCheckpoint,
    newestCheckpoint,
    options,
    hasCheckpoints: async () => (await candidates()).length > 0,
    async weights(set) {
      const finished = finishedWeightsOf(path, 'model');
      if (set === 'ema' && !isCheckpoint && existsSync(finished)) {
        const newerCheckpoint = (await candidates()).find((folder) => isNewer(folder, finished));
        return { path: finished, set, ...(newerCheckpoint && { newerCheckpoint }) };
      }
      const checkpoint = await newestCheckpoint();
      if (!checkpoint) throw new InputError('openRun', `${path} holds no checkpoint; tb-train model makes them`);
      const file = set === 'ema' ? checkpointFiles.ema : checkpointFiles.model;
      return { path: join(checkpoint.folder, file), set, step: checkpoint.progress.step };
    },
    vaeCandidates: async () => listVaeCandidates(folder, (await options()).vae),
  };
}

/**
 * The first of some checkpoints that can be read.
 *
 * @param read - throws where the checkpoint is damaged
 * @returns what `read` made of it, and what is wrong with those before it; undefined when there are no checkpoints
 * @throws Error when all of them are damaged
 */
export async function firstIntact<Found>(
  checkpoints: readonly string[],
  read: (folder: string) => Promise<Found>,
): Promise<{ found: Found; damaged: string[] } | undefined> {
  const damaged: string[] = [];
  for (const folder of checkpoints) {
    try {
      return { found: await read(folder), damaged };
    } catch (error) {
      if (!(error instanceof DamagedCheckpointError)) throw error;
      damaged.push(error.message);
    }
  }
  if (damaged.length === 0) return undefined;
  throw new Error(`no checkpoint is intact: ${damaged.join('; ')}`);
}

/** A checkpoint cannot be used: which of its files is to blame, and why. Older checkpoints are tried instead. */
export class DamagedCheckpointError extends Error {
  override readonly name = 'DamagedCheckpointError';
}

/** @throws DamagedCheckpointError */
export async function readCheckpoint(folder: string): Promise<Omit<Checkpoint, 'damaged'>> {
  const damage = await findDamage(folder, checkpointFormat, Object.values(checkpointFiles));
  if (damage !== undefined) throw new DamagedCheckpointError(damage);
  try {
    const { files } = await readManifest(folder, checkpointFormat);
    const progress = await readProgress(folder);
    return { folder, files, progress, info: await readWeightsMetadata(join(folder, checkpointFiles.ema)) };
  } catch (error) {
    throw new DamagedCheckpointError((error as Error).message);
  }
}

/**
 * Folders of a run's checkpoints, newest first, intact or not.
 *
 * @throws Error when they cannot be listed
 */
export async function listCheckpoints(run: string): Promise<string[]> {
  const root = checkpointsOf(run);
  const names = await readdir(root).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || !existsSync(run)) return [];
    throw new Error(`${root} cannot be read: ${error.code === 'ENOTDIR' ? 'it is a file' : fileSystemReason(error)}`);
  });
  const nameOf = (entry: string) => setAsidePattern.exec(entry)?.[1] ?? entry;
  return names
    .filter((entry) => checkpointPattern.test(nameOf(entry)))
    .sort((a, b) => compare(nameOf(b), nameOf(a)) || compare(b, a)) // one that was set aside after the one that replaced it
    .map((entry) => join(root, entry));
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

async function listVaeCandidates(run: string, named: unknown): Promise<string[]> {
  const inRun = (folder: string) => finishedWeightsOf(folder, 'vae');
  const ofOptions = typeof named === 'string' ? [named, inRun(named)] : [];
  return [...ofOptions, inRun(run), inRun(join(run, '..', 'vae'))].filter(isFile);
}

/**
 * The file of weights that an option names: that file, or what a finished run in that folder ended with.
 *
 * @param option - for messages, such as `--vae`
 * @throws InputError when there is none
 */
export function findWeights(option: string, path: string, kind: Parameters<typeof finishedWeightsOf>[1]): string {
  if (!existsSync(path)) throw new InputError('findWeights', `${option} ${path} does not exist`);
  if (!statSync(path).isDirectory()) return path;
  const file = finishedWeightsOf(path, kind);
  if (isFile(file)) return file;
  throw new InputError(
    'findWeights',
    `${option} ${path} holds no ${basename(file)}; tb-train ${kind} writes it when the run is finished`,
  );
}

/** Whether a checkpoint was written after a file. */
function isNewer(checkpoint: string, file: string): boolean {
  const progress = statSync(join(checkpoint, checkpointFiles.progress), { throwIfNoEntry: false });
  return progress !== undefined && progress.mtimeMs > statSync(file).mtimeMs;
}

const isFile = (path: string) => existsSync(path) && statSync(path).isFile();
