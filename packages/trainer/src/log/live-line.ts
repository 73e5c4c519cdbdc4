/** What the line under the cursor shows. */
export type LiveStatus = {
  step: number;
  steps: number;
  loss: number;
  smoothedLoss: number;
  learningRate: number;
  imagesPerSecond: number;
  secondsLeft: number;
};

/** The part of a stream that the line needs; `process.stderr` has it. */
export type Terminal = { isTTY?: boolean; write(text: string): unknown };

/** One status line that rewrites itself on a terminal, and becomes an ordinary line now and then elsewhere. */
export type LiveLine = {
  show(status: LiveStatus): void;
  /** Prints a message above the line. */
  say(message: string): void;
  /** Leaves the last status standing. */
  end(): void;
};

const secondsBetweenLines = 10;

export function createLiveLine(stream: Terminal, now: () => number = Date.now): LiveLine {
  let last = '';
  let printedAt = Number.NEGATIVE_INFINITY;
  return {
    show(status) {
      last = formatStatus(status);
      if (stream.isTTY) stream.write(`\r\x1b[2K${last}`);
      else if (now() - printedAt >= secondsBetweenLines * 1000 || status.step === status.steps) {
        stream.write(`${last}\n`);
        printedAt = now();
      }
    },
    say(message) {
      stream.write(stream.isTTY ? `\r\x1b[2K${message}\n${last}` : `${message}\n`);
    },
    end() {
      if (stream.isTTY && last !== '') stream.write('\n');
      last = '';
    },
  };
}

export function formatStatus(status: LiveStatus): string {
  return [
    `step ${status.step}/${status.steps}`,
    `loss ${status.loss.toFixed(4)} (smoothed ${status.smoothedLoss.toFixed(4)})`,
    `lr ${status.learningRate.toExponential(2)}`,
    `${formatRate(status.imagesPerSecond)} images/s`,
    `${formatDuration(status.secondsLeft)} left`,
  ].join('  ');
}

const formatRate = (rate: number) => (rate >= 100 ? rate.toFixed(0) : rate.toFixed(1));

/** 42s, 3m05s, 2h07m, 4d03h. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.round(seconds);
  const pair = (large: number, largeUnit: string, small: number, smallUnit: string) =>
    `${large}${largeUnit}${String(small).padStart(2, '0')}${smallUnit}`;
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), 'm', whole % 60, 's');
  if (whole < 86400) return pair(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'm');
  return pair(Math.floor(whole / 86400), 'd', Math.floor((whole % 86400) / 3600), 'h');
}
