// A checkpoint is a folder with the weights, their average, the optimizer's moments, the place in the run, and a
// manifest with a SHA-256 per file. It gets its name only when it is whole; without a valid manifest it does not exist.
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSystemReason, readSafetensors, writeFileAtomic, writeSafetensors } from '@tb/io';
import type { TrainState } from '../train-step.js';
import { type HostTensors, readTree, treeFromHost } from './host-trees.js';
import { findDamage, writeManifest } from './manifest.js';

/** Where a run stands, besides its tensors. */
export type Progress = {
  /** Updates made so far; also the number of the next batch. */
  step: number;
  /** Times the run was rolled back after a loss that was not finite. */
  retries: number;
  /** Exponential average of the losses, of which each new one is 2%; null before the first. */
  smoothedLoss: number | null;
  /** Wall time spent training, in seconds. */
  seconds: number;
  seed: number;
  /** Everything that defines the run, as resolved from preset, file and flags. */
  config: Record<string, unknown>;
};

/** Shapes of parameters by their dotted names. */
export type ParameterShapes = Readonly<Record<string, readonly number[]>>;

const format = 'tokenbridge-checkpoint';
const folderPattern = /^step-\d{8}$/;
const files = {
  model: 'model.safetensors',
  ema: 'ema.safetensors',
  optimizer: 'optimizer.safetensors',
  progress: 'progress.json',
};

export type SaveOptions = {
  /** Checkpoints to keep: all but the newest are removed. */
  keep?: number;
  /** What the weights say about themselves (see `describeWeights`). */
  metadata?: Record<string, string>;
};

/**
 * Writes `step-<step>` below `root`, and removes all but the newest checkpoints.
 *
 * @returns the checkpoint's folder
 * @throws Error when it cannot be written (disk full, no permission); nothing is left behind then
 */
export async function saveCheckpoint(
  root: string,
  state: TrainState,
  progress: Progress,
  { keep = 3, metadata }: SaveOptions = {},
): Promise<string> {
  const name = `step-${String(progress.step).padStart(8, '0')}`;
  const temporary = join(root, `.${name}.${randomBytes(4).toString('hex')}.tmp`);
  const target = join(root, name);
  try {
    await mkdir(temporary, { recursive: true });
    await writeSafetensors(join(temporary, files.model), await readTree(state.params), { metadata });
    await writeSafetensors(join(temporary, files.ema), await readTree(state.ema), { metadata });
    await writeSafetensors(join(temporary, files.optimizer), await readTree(state.optimizer));
    await writeFileAtomic(join(temporary, files.progress), `${JSON.stringify(progress, null, 2)}\n`);
    await writeManifest(temporary, format, Object.values(files));
    await replaceFolder(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {}); // the first error says more
    throw new Error(
      `checkpoint ${target} cannot be written: ${fileSystemReason(error)}; nothing was left behind, and earlier checkpoints are untouched`,
    );
  }
  const old = [...(await listCheckpoints(root)).slice(keep), ...(await listLeftovers(root))];
  for (const folder of old) await rm(join(root, folder), { recursive: true, force: true });
  return target;
}

/**
 * Reads the newest checkpoint below `root` that is whole.
 *
 * @param shapes - of the parameters, by dotted name; without them any will do
 * @throws Error when all checkpoints are damaged, or the parameters have other shapes
 */
export async function loadLatestCheckpoint(
  root: string,
  shapes?: ParameterShapes,
): Promise<{ state: TrainState; progress: Progress; folder: string; damaged: string[] } | undefined> {
  const damaged: string[] = [];
  for (const name of await listCheckpoints(root)) {
    const folder = join(root, name);
    const damage = await findDamage(folder, format);
    if (damage === undefined) return { ...(await loadCheckpoint(folder, shapes)), folder, damaged };
    damaged.push(`${folder}: ${damage}`);
  }
  if (damaged.length > 0) throw new Error(`no checkpoint in ${root} is whole: ${damaged.join('; ')}`);
  return undefined;
}

/** Where the newest whole checkpoint stands, without its tensors. */
export async function readLatestProgress(root: string): Promise<Progress | undefined> {
  for (const name of await listCheckpoints(root)) {
    const folder = join(root, name);
    if ((await findDamage(folder, format)) === undefined) return readProgress(folder);
  }
  return undefined;
}

async function loadCheckpoint(
  folder: string,
  shapes?: ParameterShapes,
): Promise<{ state: TrainState; progress: Progress }> {
  const read = async (file: string): Promise<HostTensors> => (await readSafetensors(join(folder, file))).tensors;
  const model = await read(files.model);
  if (shapes) assertSameShapes(shapes, model, folder);
  const state = {
    params: treeFromHost(model),
    ema: treeFromHost(await read(files.ema)),
    optimizer: treeFromHost(await read(files.optimizer)),
  } as TrainState;
  return { state, progress: await readProgress(folder) };
}

function assertSameShapes(shapes: ParameterShapes, model: HostTensors, folder: string): void {
  const text = (shape: readonly number[] | undefined) => (shape ? `[${shape.join(', ')}]` : 'absent');
  const names = Object.keys({ ...shapes, ...model });
  const wrong = names.find((name) => text(shapes[name]) !== text(model[name]?.shape));
  if (wrong === undefined) return;
  throw new Error(
    `checkpoint ${folder} is of a model of other sizes, which a resumed run cannot change: ${wrong} must be ` +
      `${text(shapes[wrong])}, got ${text(model[wrong]?.shape)}`,
  );
}

async function readProgress(folder: string): Promise<Progress> {
  return JSON.parse(await readFile(join(folder, files.progress), 'utf8'));
}

/** Newest first. */
async function listCheckpoints(root: string): Promise<string[]> {
  const entries = await readdir(root).catch(() => []);
  return entries
    .filter((name) => folderPattern.test(name))
    .sort()
    .reverse();
}

/** What a process that was killed while it saved has left behind. */
async function listLeftovers(root: string): Promise<string[]> {
  return (await readdir(root)).filter((name) => /^\.step-\d{8}\.[0-9a-f]{8}\.tmp(\.old)?$/.test(name));
}

/** A folder cannot be renamed onto a full one, so an older one of the same name steps aside first. */
async function replaceFolder(from: string, to: string): Promise<void> {
  const aside = `${from}.old`;
  const existed = await rename(to, aside).then(
    () => true,
    () => false,
  );
  await rename(from, to);
  if (existed) await rm(aside, { recursive: true, force: true });
}
