import { join } from 'node:path';
import { encodePng, type Pixels } from '@tb/images';
import {
  createStatusLine,
  formatDuration,
  formatRate,
  makeFolders,
  printable,
  type Terminal,
  writeFileAtomic,
} from '@tb/io';
import { oneProcess, type ProcessGroup } from '@tb/runtime';
import type { BadImage } from '../data/image-source.js';
import { logOf, sampleFile, samplesOf } from '../run-folder/layout.js';
import type { Progress } from '../run-folder/progress.js';
import { createClock } from './clock.js';
import { appendRecord, truncateRecords } from './json-lines.js';
import { writeRunReport } from './run-report.js';
import { createEventFile, type EventFile } from './tensorboard.js';

/** Everything that a run reports: the status line, JSON lines, TensorBoard events, sample images and the report. */
export type RunLog = {
  /** Keeps what was found among the images and what was left out, for the record of the run's beginning. */
  found(images: string): void;
  /** Starts the log of a run that begins or resumes at `progress.step`. */
  begin(progress: Progress, steps: number): Promise<void>;
  /** Logs a step. @returns seconds of training so far, those of earlier parts of the run included */
  step(step: number, values: Record<string, number>, batchSize: number): number;
  validation(step: number, values: Record<string, number>): void;
  /** Writes a sample image. */
  image(step: number, image: Pixels): Promise<void>;
  badImage(bad: BadImage): void;
  /** Prints a message above the status line. */
  print(message: string): void;
  /** Keeps the last status on the terminal, so that something else can be printed below it. */
  pause(): void;
  /** Writes the report. @returns its path */
  report(notes?: readonly string[]): Promise<string>;
};

export type RunLogOptions = {
  /** Folder of the run. */
  out: string;
  title: string;
  config: Record<string, unknown>;
  terminal: Terminal;
  /** The processes that train together; all but process 0 report only what it cannot know. */
  processes?: ProcessGroup;
  now?: () => number;
};

/** Opens the log of a run. Nothing is written before `begin`. */
export function createRunLog({ processes = oneProcess, now = Date.now, ...options }: RunLogOptions): RunLog {
  return processes.index === 0
    ? openRunLog({ ...options, now })
    : createQuietLog(processes.index, options.terminal, now);
}

type OwnLogOptions = Omit<RunLogOptions, 'processes'> & { now: () => number };

function openRunLog({ out, title, config, terminal, now }: OwnLogOptions): RunLog {
  const path = logOf(out);
  const line = createStatusLine(terminal, now);
  let events: EventFile | undefined;
  let clock = createClock({ step: 0, steps: 0, seconds: 0 }, now);
  let badCount = 0;
  let images: string | undefined;
  const record = (event: string, step: number, values: Record<string, unknown>) =>
    appendRecord(path, { event, step, time: new Date(now()).toISOString(), ...values });
  return {
    found(line) {
      images = line;
    },
    async begin({ step, seconds }, steps) {
      await makeFolders(samplesOf(out));
      await truncateRecords(path, step + 1);
      events = createEventFile(out, step + 1, now);
      clock = createClock({ step, steps, seconds }, now);
      record('begin', step, { steps, images });
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
      line.print(printable(`step ${step}: validation ${text.join(', ')}`));
      clock.skip();
    },
    async image(step, image) {
      const { width, height } = image;
      const png = await encodePng(image);
      const file = sampleFile(step);
      await writeFileAtomic(join(out, file), png);
      events?.image(step, 'samples', { png, width, height });
      record('picture', step, { file });
      clock.skip();
    },
    badImage({ path: file, reason }) {
      record('bad-image', clock.step, { path: file, reason });
      line.print(printable(`skipped unreadable image ${++badCount}: ${file}: ${reason}`));
    },
    print: (message) => line.print(printable(message)),
    pause: line.end,
    report: (notes) => writeRunReport(out, { title, config, notes }),
  };
}

/**
 * The log of a process that trains with others: process 0 has the run folder and reports for all. This one prints only
 * what process 0 cannot know.
 *
 * @param index - of this process, for its messages
 */
function createQuietLog(index: number, terminal: Terminal, now: () => number): RunLog {
  let clock = createClock({ step: 0, steps: 0, seconds: 0 }, now);
  return {
    found() {},
    async begin({ step, seconds }, steps) {
      clock = createClock({ step, steps, seconds }, now);
    },
    step: (step, _, batchSize) => clock.tick(step, batchSize).seconds,
    validation() {},
    async image() {},
    badImage: ({ path, reason }) =>
      void terminal.write(`${printable(`process ${index}: skipped unreadable image: ${path}: ${reason}`)}\n`),
    print() {},
    pause() {},
    report: async () => '',
  };
}

const prefixed = (prefix: string, values: Record<string, number>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));

/** What the status line shows while a model is trained. */
export type TrainingStatus = {
  step: number;
  steps: number;
  loss: number;
  smoothedLoss: number;
  learningRate: number;
  imagesPerSecond: number;
  secondsLeft: number;
};

export function formatTrainingStatus(status: TrainingStatus): string {
  return [
    `step ${status.step}/${status.steps}`,
    `loss ${status.loss.toFixed(4)} (smoothed ${status.smoothedLoss.toFixed(4)})`,
    `lr ${status.learningRate.toExponential(2)}`,
    `${formatRate(status.imagesPerSecond)} images/s`,
    `${formatDuration(status.secondsLeft)} left`,
  ].join('  ');
}
