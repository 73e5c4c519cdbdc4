/** The part of a stream that a line needs; `process.stderr` has it. */
export type Terminal = { isTTY?: boolean; columns?: number; write(text: string): unknown };

/** One line that rewrites itself on a terminal, and is printed as an ordinary line now and then elsewhere. */
export type StatusLine = {
  /** @param isDue - print it also where the last line was printed only just now */
  show(status: string, isDue?: boolean): void;
  /** Prints a message above the line. */
  print(message: string): void;
  /** Keeps the last status on the terminal, so that something else can be printed below it. */
  end(): void;
};

const secondsBetweenLines = 10;

/** Creates a line of a terminal that is rewritten in place. Where there is no terminal, it is printed every ten seconds at most. */
export function createStatusLine(stream: Terminal, now: () => number = Date.now): StatusLine {
  let last = '';
  let printedAt = Number.NEGATIVE_INFINITY;
  return {
    show(status, isDue = false) {
      last = status.slice(0, (stream.columns ?? Number.POSITIVE_INFINITY) - 1); // a line that wraps cannot be rewritten
      if (stream.isTTY) stream.write(`\r\x1b[2K${last}`);
      else if (isDue || now() - printedAt >= secondsBetweenLines * 1000) {
        stream.write(`${status}\n`);
        printedAt = now();
      }
    },
    print(message) {
      stream.write(stream.isTTY ? `\r\x1b[2K${message}\n${last}` : `${message}\n`);
    },
    end() {
      if (stream.isTTY && last !== '') stream.write('\n');
      last = '';
    },
  };
}

/** Things per second, with as many digits as are of use. */
export function formatRate(rate: number): string {
  if (rate >= 100) return rate.toFixed(0);
  return rate >= 1 ? rate.toFixed(1) : rate.toPrecision(2);
}

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
