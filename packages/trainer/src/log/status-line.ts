/** The part of a stream that the line needs; `process.stderr` has it. */
export type Terminal = { isTTY?: boolean; columns?: number; write(text: string): unknown };

/** One status line that rewrites itself on a terminal, and becomes an ordinary line now and then elsewhere. */
export type StatusLine = {
  /** @param isLast - print it even where the last line was printed only just now */
  show(status: string, isLast?: boolean): void;
  /** Prints a message above the line. */
  say(message: string): void;
  /** Leaves the last status standing. */
  end(): void;
};

const secondsBetweenLines = 10;

export function createStatusLine(stream: Terminal, now: () => number = Date.now): StatusLine {
  let last = '';
  let printedAt = Number.NEGATIVE_INFINITY;
  return {
    show(status, isLast = false) {
      last = status.slice(0, (stream.columns ?? Number.POSITIVE_INFINITY) - 1); // a line that wraps cannot be rewritten
      if (stream.isTTY) stream.write(`\r\x1b[2K${last}`);
      else if (isLast || now() - printedAt >= secondsBetweenLines * 1000) {
        stream.write(`${status}\n`);
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
