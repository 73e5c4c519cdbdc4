import { createStatusLine, formatDuration, formatRate, type Terminal, workingTime } from '@tb/io';

/** The progress of work on a known number of images. */
export type ProgressLine = {
  /**
   * Shows how far the work is, how fast it is, and how long it still takes. The first call starts the clock, with the images
   * that were there before.
   *
   * @param done - images finished, with a fraction for those in progress
   * @param what - name of the work; another name starts another line
   */
  show(done: number, total: number, what?: string): void;
  /** Shows the name of work in which nothing can be counted. */
  stage(what: string): void;
  /** Prints a message above the line. */
  print(message: string): void;
  /** Keeps the last state on the terminal, so that something else can be printed below it. */
  end(): void;
};

export function createProgressLine(stream: Terminal = process.stderr, now: () => number = Date.now): ProgressLine {
  const line = createStatusLine(stream, now);
  let current: string | undefined;
  let start = { done: 0, at: 0 };
  return {
    show(done, total, what = '') {
      const isFirst = what !== current;
      if (isFirst) {
        line.end();
        current = what;
        start = { done, at: workingTime(now) };
      }
      const rate = (1000 * (done - start.done)) / Math.max(workingTime(now) - start.at, 1);
      const timing = rate > 0 ? `  ${formatRate(rate)} images/s  ${formatDuration((total - done) / rate)} left` : '';
      line.show(`${what && `${what}  `}${Math.floor(done)}/${total} images${timing}`, isFirst || done === total);
    },
    stage(what) {
      line.end();
      current = undefined;
      line.show(what, true);
    },
    print: line.print,
    end() {
      line.end();
      current = undefined;
    },
  };
}
