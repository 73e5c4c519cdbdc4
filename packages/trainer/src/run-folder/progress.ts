import { join } from 'node:path';
import { jsonShape, readJson } from '@tb/io';
import { checkpointFiles } from './layout.js';

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

const { anything, count, number, object, optional, record } = jsonShape;

const shape = object({
  step: count,
  retries: count,
  smoothedLoss: optional(number),
  seconds: number,
  seed: number,
  config: record(anything),
});

/**
 * Reads the progress that a checkpoint holds.
 *
 * @throws Error that names the file, and what is wrong with it
 */
export async function readProgress(checkpoint: string): Promise<Progress> {
  const progress = await readJson(join(checkpoint, checkpointFiles.progress), shape);
  return { ...progress, smoothedLoss: progress.smoothedLoss ?? null };
}
