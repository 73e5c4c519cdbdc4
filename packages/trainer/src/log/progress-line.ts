import { formatDuration, formatRate } from './format.js';
import { createStatusLine, type Terminal } from './status-line.js';

export type ProgressLine = {
  /** @param done - pictures finished, with the share of those in the making */
  show(done: number): void;
  /** Prints a message above the line. */
  say(message: string): void;
  end(): void;
};

export type ProgressLineOptions = {
  total: number;
  /** Pictures that were there before; they say nothing about the speed. */
  first?: number;
  now?: () => number;
};

/** The status line of work on a known number of pictures: how far, how fast, how long still. */
export function createProgressLine(
  stream: Terminal,
  { total, first = 0, now = Date.now }: ProgressLineOptions,
): ProgressLine {
  const line = createStatusLine(stream, now);
  const started = now();
  return {
    show(done) {
      const rate = (done - first) / ((now() - started) / 1000);
      const left = done > first ? formatDuration((total - done) / rate) : '?';
      const speed = done > first ? formatRate(rate) : '?';
      line.show(`${Math.floor(done)}/${total} pictures  ${speed} images/s  ${left} left`, done === total);
    },
    say: line.say,
    end: line.end,
  };
}
