import { formatDuration, type Terminal } from '@tb/trainer';

const secondsBetweenLines = 10;

/** One line that tells how far the pictures are; off a terminal, an ordinary line now and then. */
export function createProgressLine(total: number, stream: Terminal, now: () => number = Date.now) {
  const started = now();
  let printedAt = started;
  let isShown = false;
  return {
    /** @param done - pictures finished, with the share of those in the making */
    show(done: number): void {
      const seconds = (now() - started) / 1000;
      const rate = done / seconds;
      const left = done > 0 ? formatDuration((total - done) / rate) : '?';
      const line = `${Math.floor(done)}/${total} pictures  ${formatRate(rate)} images/s  ${left} left`;
      const isDue = now() - printedAt >= secondsBetweenLines * 1000 || done === total;
      if (stream.isTTY) stream.write(`\r\x1b[2K${line}`);
      else if (isDue) stream.write(`${line}\n`);
      if (isDue) printedAt = now();
      isShown = true;
    },
    end(): void {
      if (stream.isTTY && isShown) stream.write('\n');
    },
  };
}

const formatRate = (rate: number) => (rate >= 10 ? rate.toFixed(0) : rate.toPrecision(2));
