import { onCompile, type ProcessGroup, type Progress } from '@tb/runtime';
import type { TrainOptions } from './task.js';

/** For compiling, validating, drawing, saving and loading. */
const phaseMs = 60 * 60_000;

/** Reports how far a run is, so that a watchdog distinguishes slow work from a process that hangs. */
export type WatchedProgress = {
  /** A step begins, which meets the steps of all processes. */
  step(step: number): void;
  /** Something begins after this step that takes longer than a step. Process 0 does it, and the others wait. */
  phase(step: number, phase: string): void;
  close(): void;
};

/** @param options - of the run; without `onProgress` nothing is reported */
export function watchProgress(
  { onProgress = () => {}, lossDelay }: Pick<TrainOptions, 'onProgress' | 'lossDelay'>,
  { index }: ProcessGroup,
): WatchedProgress {
  let last: Progress = { step: 0 };
  let patientUntil = -1;
  const report = (progress: Progress) => {
    last = progress;
    onProgress(progress);
  };
  const close = onCompile(({ name, state }) => {
    if (state === 'begun') onProgress({ step: last.step, phase: `compiling ${name}`, limitMs: phaseMs });
    else onProgress(last);
  });
  return {
    step(step) {
      // The host runs ahead of the devices: it meets the wait some steps later.
      if (step <= patientUntil) report({ step, phase: 'waiting for process 0', limitMs: phaseMs });
      else report({ step });
    },
    phase(step, phase) {
      report({ step, phase, limitMs: phaseMs });
      if (index > 0) patientUntil = step + lossDelay + 1;
    },
    close,
  };
}
