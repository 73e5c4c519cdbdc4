import { workingTime } from '@tb/io';

/** Measures the speed of training. */
export type Clock = {
  /** The last step. */
  readonly step: number;
  readonly steps: number;
  /** Records the end of a step. @returns speed over the last steps, the time left at it, and the time spent so far */
  tick(step: number, batchSize: number): { imagesPerSecond: number; secondsLeft: number; seconds: number };
  /** Leaves the time since the last step out of the speed: it was spent on validation or drawing. */
  skip(): void;
};

/** Number of steps over which the speed is measured. */
const window = 20;

/** @param start - where the run begins or resumes, and the seconds that were spent before */
export function createClock(start: { step: number; steps: number; seconds: number }, now: () => number): Clock {
  const { steps } = start;
  const started = now();
  let step = start.step;
  // Without the time of compiling.
  const recent: { step: number; at: number }[] = [{ step, at: workingTime(now) }];
  return {
    get step() {
      return step;
    },
    steps,
    tick(current, batchSize) {
      const at = workingTime(now);
      step = current;
      recent.push({ step, at });
      if (recent.length > window + 1) recent.shift();
      const first = recent[0];
      const stepsPerSecond = (step - first.step) / Math.max((at - first.at) / 1000, 1e-9);
      return {
        imagesPerSecond: stepsPerSecond * batchSize,
        secondsLeft: (steps - step) / stepsPerSecond,
        seconds: start.seconds + (now() - started) / 1000,
      };
    },
    skip() {
      recent.splice(0, recent.length, { step, at: workingTime(now) });
    },
  };
}
