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

/** Whether another line than this one was shown last, and has not ended. */
export function isOtherLineShown(line: StatusLine): boolean {
  return shown !== undefined && shown !== line;
}

const secondsBetweenLines = 10;

/** The line on the terminal that was shown last, and has not ended. */
let shown: StatusLine | undefined;

/** Prints a message, above the status line if there is one: for what happens while somebody else shows the progress. */
export function printMessage(message: string, stream: Terminal = process.stderr): void {
  if (shown) shown.print(message);
  else stream.write(`${message}\n`);
}

let excludedSeconds = 0;

/** Leaves time out of what `workingTime` counts: it was spent on something that does not happen again, such as compiling. */
export function excludeFromSpeed(seconds: number): void {
  excludedSeconds += seconds;
}

/** A clock in milliseconds for speed and time left: that of `now`, without what was excluded. */
export function workingTime(now: () => number): number {
  return now() - 1000 * excludedSeconds;
}

/** Creates a line of a terminal that is rewritten in place. Where there is no terminal, it is printed every ten seconds at most. */
export function createStatusLine(stream: Terminal, now: () => number = Date.now): StatusLine {
  let last = '';
  let printedAt = Number.NEGATIVE_INFINITY;
  const self: StatusLine = {
    show(status, isDue = false) {
      shown = self;
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
      if (shown === self) shown = undefined;
    },
  };
  return self;
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
