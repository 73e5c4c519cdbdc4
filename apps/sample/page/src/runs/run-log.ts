// What the page knows about the log of one run, from its events.
import type { RunEvent, RunRecord } from '../../../src/page/messages.js';

/** Points of one curve: steps, ascending, and values. */
export type Series = { steps: number[]; values: number[] };

/** The log of one run. */
export type RunLog = {
  step: number;
  steps: number | null;
  /** By the names of their values; those of validation begin with `validation/`. */
  series: ReadonlyMap<string, Series>;
  /** Steps at which sample images were drawn, ascending. */
  samples: readonly number[];
  isFinished: boolean;
  message: string | null;
};

export const emptyLog: RunLog = {
  step: 0,
  steps: null,
  series: new Map(),
  samples: [],
  isFinished: false,
  message: null,
};

/** The log after an event. */
export function afterRunEvent(log: RunLog, event: RunEvent): RunLog {
  switch (event.type) {
    case 'reset':
      return emptyLog;
    case 'finished':
      return { ...log, isFinished: true };
    case 'failed':
      return { ...log, message: event.message };
    case 'records':
      return afterRecords(log, event.records);
  }
}

function afterRecords(log: RunLog, records: readonly RunRecord[]): RunLog {
  const series = new Map(
    [...log.series].map(([name, { steps, values }]) => [name, { steps: [...steps], values: [...values] }]),
  );
  const samples = new Set(log.samples);
  let { step, steps, isFinished } = log;
  for (const record of records) {
    step = Math.max(step, record.step);
    if (record.kind === 'begin') {
      steps = record.steps ?? steps;
      isFinished = false; // it was resumed
    } else if (record.kind === 'sample') samples.add(record.step);
    else
      for (const [name, value] of Object.entries(record.values))
        append(series, record.kind === 'validation' ? `validation/${name}` : name, record.step, value);
  }
  return { ...log, step, steps, isFinished, series, samples: [...samples].sort((a, b) => a - b) };
}

function append(series: Map<string, Series>, name: string, step: number, value: number): void {
  const curve = series.get(name) ?? { steps: [], values: [] };
  series.set(name, curve);
  if (curve.steps.length > 0 && step <= curve.steps[curve.steps.length - 1]) return; // charts need ascending steps
  curve.steps.push(step);
  curve.values.push(value);
}

/** The charts, in the order in which they are shown, each with the first of its values that a run has. */
const chartKinds = [
  { title: 'Loss', names: ['smoothedLoss', 'loss'] },
  { title: 'Validation loss', names: ['validation/loss'] },
  { title: 'Learning rate', names: ['learningRate'] },
  { title: 'Images per second', names: ['imagesPerSecond'] },
] as const;

/** The charts of some runs: those above, and one for every other value of validation. */
export function chartsOf(logs: readonly RunLog[]): { title: string; names: readonly string[] }[] {
  const known = new Set<string>(chartKinds.flatMap(({ names }) => [...names]));
  const others = new Set(
    logs.flatMap(({ series }) => [...series.keys()]).filter((name) => name.startsWith('validation/')),
  );
  const more = [...others].filter((name) => !known.has(name)).map((name) => ({ title: titleOf(name), names: [name] }));
  return [...chartKinds, ...more].filter(({ names }) =>
    logs.some(({ series }) => names.some((name) => series.has(name))),
  );
}

const titleOf = (name: string) => `Validation: ${name.slice('validation/'.length)}`;
