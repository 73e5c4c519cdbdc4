import { formatDuration } from '@tb/io';
import type { RunLog } from './log/run-log.js';
import type { LossQueue } from './loss-queue.js';
import { beginCheckpoint, tidyCheckpoints } from './run-folder/checkpoint-writer.js';
import type { Progress } from './run-folder/progress.js';
import type { TrainState } from './train-step.js';

/** Saves the checkpoints of a run, one at a time. In a group of processes, process 0 does. */
export type CheckpointSaver = {
  /** Saves the current step. With `saveInBackground`, returns when the state is copied and the step before is saved. */
  save(): Promise<void>;
  /** @throws Error of a write that has failed in the background */
  throwIfFailed(): void;
  /** Waits for the write in progress. @throws Error when it fails */
  finish(): Promise<void>;
};

/** When and where a run saves its checkpoints; see `TrainOptions`. */
type SaverOptions = {
  out: string;
  resume: boolean;
  keepCheckpoints: number;
  metadata?: Record<string, string>;
  saveInBackground?: boolean;
  /** Whether this process writes, or leaves it to another. */
  isWriter: boolean;
};

/** @param run - its states may be replaced after every step; the first one is saved */
export function createCheckpointSaver(
  run: { states: TrainState[]; progress: Progress },
  losses: LossQueue<unknown>,
  { out, resume, keepCheckpoints: keep, metadata, saveInBackground, isWriter }: SaverOptions,
  log: RunLog,
): CheckpointSaver {
  const { progress } = run;
  let saved = resume && progress.step > 0 ? progress.step : -1;
  let isTidy = saved < 0;
  let writing: Promise<void> = Promise.resolve();
  let failure: { error: unknown } | undefined;
  const begin = async () => {
    const { step } = progress;
    const start = performance.now();
    isTidy = true; // a save leaves the folder in order
    const { written } = await beginCheckpoint(out, run.states[0], progress, { keep, metadata });
    writing = written.then(({ leftovers }) => {
      for (const leftover of leftovers) log.print(leftover);
      const seconds = (performance.now() - start) / 1000;
      if (seconds >= 2) log.print(`step ${step}: checkpoint written in ${formatDuration(seconds)}`);
    });
    writing.catch((error) => {
      failure = { error };
    });
  };
  /** A run may resume at its last step, after the process that saved it was killed before it removed old checkpoints. */
  const tidy = async () => {
    if (isTidy) return;
    isTidy = true;
    for (const leftover of await tidyCheckpoints(out, keep)) log.print(leftover);
  };
  return {
    async save() {
      await losses.readAll(); // a checkpoint never holds a state whose loss was not finite
      if (!isWriter) return;
      if (saved === progress.step) return tidy();
      await writing;
      await begin();
      saved = progress.step;
      if (!saveInBackground) await writing;
    },
    throwIfFailed() {
      if (failure) throw failure.error;
    },
    finish: () => writing,
  };
}
