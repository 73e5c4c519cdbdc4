import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { encodePng, type Pixels } from '@tb/images';
import { printable, writeFileAtomic } from '@tb/io';
import type { BadImage } from '../data/image-source.js';
import type { Progress } from '../run-folder/progress.js';
import { appendRecord, type LogRecord, readRecords, truncateRecords } from './json-lines.js';
import { type ReportPicture, renderReport } from './report.js';
import { createStatusLine, type Terminal } from './status-line.js';
import { createEventFile, type EventFile } from './tensorboard.js';
import { formatTrainingStatus } from './training-status.js';

/** Everything a run tells: the live line, JSON lines, TensorBoard events, pictures and the report. */
export type RunLog = {
  /** A run starts or continues at `progress.step`. */
  begin(progress: Progress, steps: number): Promise<void>;
  /** @returns seconds trained so far, those of earlier parts of the run included */
  step(step: number, values: Record<string, number>, batchSize: number): number;
  validation(step: number, values: Record<string, number>): void;
  picture(step: number, picture: Pixels): Promise<void>;
  badImage(bad: BadImage): void;
  /** Prints a message above the live line. */
  say(message: string): void;
  /** Leaves the live line standing, so that others can print. */
  pause(): void;
  /** Writes the report. @returns its path */
  report(notes?: readonly string[]): Promise<string>;
};

export type RunLogOptions = {
  out: string;
  title: string;
  config: Record<string, unknown>;
  terminal: Terminal;
  now?: () => number;
};

/** Opens the log of the run in folder `out`. */
export function createRunLog({ out, title, config, terminal, now = Date.now }: RunLogOptions): RunLog {
  const path = join(out, 'log.jsonl');
  const line = createStatusLine(terminal, now);
  let events: EventFile | undefined;
  let clock = createClock(0, 0, 0, now);
  let badCount = 0;
  const record = (event: string, step: number, values: Record<string, unknown>) =>
    appendRecord(path, { event, step, time: new Date(now()).toISOString(), ...values });
  return {
    async begin(progress, steps) {
      await mkdir(join(out, 'samples'), { recursive: true });
      await truncateRecords(path, progress.step + 1);
      events = createEventFile(out, progress.step + 1, now);
      clock = createClock(progress.step, steps, progress.seconds, now);
      record('begin', progress.step, { steps });
    },
    step(step, values, batchSize) {
      const timing = clock.tick(step, batchSize);
      record('step', step, { ...values, ...timing });
      events?.scalars(step, { ...values, imagesPerSecond: timing.imagesPerSecond });
      const { loss, smoothedLoss, learningRate } = values;
      const status = { step, steps: clock.steps, loss, smoothedLoss, learningRate, ...timing };
      line.show(formatTrainingStatus(status), step === clock.steps);
      return timing.seconds;
    },
    validation(step, values) {
      record('validation', step, values);
      events?.scalars(step, prefixed('validation/', values));
      const text = Object.entries(values).map(([name, value]) => `${name} ${value.toFixed(4)}`);
      line.say(`step ${step}: validation ${text.join(', ')}`);
      clock.skip();
    },
    async picture(step, picture) {
      const { width, height } = picture;
      const png = await encodePng(picture);
      const file = join('samples', `step-${String(step).padStart(8, '0')}.png`);
      await writeFileAtomic(join(out, file), png);
      events?.image(step, 'samples', { png, width, height });
      record('picture', step, { file });
      clock.skip();
    },
    badImage({ path: file, reason }) {
      record('bad-image', clock.step, { path: file, reason });
      line.say(printable(`skipped unreadable image ${++badCount}: ${file}: ${reason}`));
    },
    say: line.say,
    pause: line.end,
    report: (notes) => writeReport(out, title, config, readRecords(path), notes),
  };
}

async function writeReport(
  out: string,
  title: string,
  config: Record<string, unknown>,
  records: readonly LogRecord[],
  notes?: readonly string[],
): Promise<string> {
  const file = join(out, 'report.html');
  await writeFileAtomic(file, renderReport({ title, config, records, pictures: lastPictures(out, records), notes }));
  return file;
}

/** Pictures of the last steps, newest first, few enough to mail; those of earlier parts of a resumed run included. */
function lastPictures(out: string, records: readonly LogRecord[]): ReportPicture[] {
  return records
    .filter(({ event, file }) => event === 'picture' && existsSync(join(out, String(file))))
    .slice(-6)
    .reverse()
    .map(({ step, file }) => ({ title: `Step ${step}`, png: readFileSync(join(out, String(file))) }));
}

const prefixed = (prefix: string, values: Record<string, number>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));

/** Speed over the last steps, and the time that is left at that speed. */
function createClock(firstStep: number, steps: number, secondsBefore: number, now: () => number) {
  const started = now();
  const recent: { step: number; at: number }[] = [{ step: firstStep, at: started }];
  const clock = {
    step: firstStep,
    steps,
    tick(step: number, batchSize: number) {
      const at = now();
      clock.step = step;
      recent.push({ step, at });
      if (recent.length > 21) recent.shift();
      const first = recent[0];
      const stepsPerSecond = (step - first.step) / Math.max((at - first.at) / 1000, 1e-9);
      return {
        imagesPerSecond: stepsPerSecond * batchSize,
        secondsLeft: (steps - step) / stepsPerSecond,
        seconds: secondsBefore + (at - started) / 1000,
      };
    },
    /** Time spent looking is no training time. */
    skip() {
      recent.splice(0, recent.length, { step: clock.step, at: now() });
    },
  };
  return clock;
}
