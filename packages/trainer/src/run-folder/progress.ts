import { join } from 'node:path';
import { jsonShape, readJson } from '@tb/io';
import { checkpointFiles } from './layout.js';

/** What a run has reached, besides its tensors. */
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
  /** The images that it is trained on: their number, and a SHA-256 of their names (see `describeImages`). */
  data?: { images: number; names?: string };
};

const { anything, count, number, object, optional, record, text } = jsonShape;

const shape = object({
  step: count,
  retries: count,
  smoothedLoss: optional(number),
  seconds: number,
  seed: number,
  config: record(anything),
  data: optional(object({ images: count, names: optional(text) })),
});

/**
 * Reads the progress that a checkpoint holds.
 *
 * @throws Error that names the file, and what is wrong with it
 */
export async function readProgress(checkpoint: string): Promise<Progress> {
  const { data, smoothedLoss, ...rest } = await readJson(join(checkpoint, checkpointFiles.progress), shape);
  const images = data && { images: data.images, ...(data.names && { names: data.names }) };
  return { ...rest, smoothedLoss: smoothedLoss ?? null, ...(images && { data: images }) };
}
