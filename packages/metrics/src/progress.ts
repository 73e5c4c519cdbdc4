/** The part of a stream that the line needs; `process.stderr` has it. */
export type ProgressStream = { isTTY?: boolean; write(text: string): unknown };

export type ProgressLine = {
  /** So many of the images called `what` are done. */
  show(what: string, done: number, total: number): void;
  /** What is computed now, where nothing can be counted. */
  stage(what: string): void;
  /** Leaves the last line standing: before an error, or at the end. */
  end(): void;
};

const WIDTH = 24;
const SECONDS_BETWEEN_LINES = 30;

/** How far an evaluation is: a bar that is drawn anew on a terminal, an ordinary line now and then elsewhere. */
export function createProgressLine(stream: ProgressStream, now: () => number = Date.now): ProgressLine {
  let current = '';
  let start = { done: 0, at: 0 };
  let printedAt = 0;
  let isOpen = false;
  const draw = (text: string, isDue: boolean) => {
    if (stream.isTTY) stream.write(`\r\x1b[2K${text}`);
    else if (isDue) stream.write(`${text}\n`);
    if (isDue) printedAt = now();
    isOpen = true;
  };
  const end = () => {
    if (stream.isTTY && isOpen) stream.write('\n');
    isOpen = false;
  };
  return {
    show(what, done, total) {
      const isFirst = what !== current;
      if (isFirst) {
        end();
        current = what;
        start = { done, at: now() }; // images of an earlier run say nothing about this one's speed
      }
      const speed = (1000 * (done - start.done)) / Math.max(now() - start.at, 1);
      const isDue = isFirst || done === total || now() - printedAt >= 1000 * SECONDS_BETWEEN_LINES;
      draw(`${what}  ${barOf(done / total)}  ${done}/${total} images${timing(speed, total - done)}`, isDue);
      if (done === total) end();
    },
    stage(what) {
      end();
      current = '';
      draw(`computing: ${what}`, true);
    },
    end,
  };
}

function barOf(share: number): string {
  const full = Math.round(WIDTH * share);
  return `[${'#'.repeat(full)}${'-'.repeat(WIDTH - full)}]`;
}

function timing(imagesPerSecond: number, left: number): string {
  if (imagesPerSecond === 0 || left === 0) return '';
  const minutes = Math.ceil(left / imagesPerSecond / 60);
  const time = minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
  const speed = imagesPerSecond < 100 ? imagesPerSecond.toPrecision(3) : imagesPerSecond.toFixed(0);
  return `  ${speed} images/s  ${time} left`;
}
