// Long runs of small work: what the process holds does not grow with what it has done.
import type { Part, Trial } from '../part.js';
import type { Workshop } from '../workshop.js';
import { fitLine } from './line.js';

/** What is done for long, and how much of it a complete trial does. */
const subjects = [
  { kind: 'training', subject: 'training steps', count: 20_000 },
  { kind: 'sampling', subject: 'sampled batches', count: 5_000 },
  { kind: 'requests', subject: 'requests to the page', count: 10_000 },
] as const;

type Subject = (typeof subjects)[number];

export const soak: Part = {
  name: 'soak',
  summary:
    '20,000 training steps, 5,000 sampled batches, 10,000 requests: memory, tensors, descriptors and threads stay flat',
  unit: 'steps, batches or requests',
  async open(workshop) {
    if (process.platform !== 'linux') {
      console.error('notice: soak is skipped: descriptors and threads can be counted on Linux only');
      return { run: async () => undefined };
    }
    return {
      /** Each third trial is of the same subject; the time is shared equally among those of a round. */
      run: ({ trial, timeLeft }) => {
        const place = trial % subjects.length;
        const seconds = timeLeft() / (subjects.length - place) / 1000;
        return workshop.inFolder('soak', (folder) => runTrial(subjects[place], seconds, folder, workshop));
      },
    };
  },
};

/** What a process held after so many pieces of work. */
type Measurement = { done: number } & Record<Held, number>;

/** Memory is in MiB. */
const held = ['memory', 'tensors', 'descriptors', 'threads'] as const;

type Held = (typeof held)[number];

/** How much each may grow over a trial by its line: noise of the allocator in MiB, and none of what is counted. */
const allowed: Record<Held, number> = { memory: 48, tensors: 0.5, descriptors: 0.5, threads: 0.5 };

async function runTrial(
  { kind, subject, count }: Subject,
  seconds: number,
  folder: string,
  workshop: Workshop,
): Promise<Trial> {
  const args = [kind, folder, String(count), String(seconds)];
  const end = await workshop.run(
    { program: 'soak', args },
    { timeout: 1000 * (seconds + 120), flags: ['--expose-gc'] },
  );
  const measured = end.stdout.split('\n').filter(Boolean);
  const points = measured.map((line): Measurement => JSON.parse(line));
  const tried = points.at(-1)?.done ?? 0;
  if (end.code !== 0) return { subject, tried, faults: [`it ended with code ${end.code}: ${end.stderr.trim()}`] };
  const settled = points.slice(Math.floor(points.length / 4)); // the first quarter fills caches
  if (settled.length < 3) return { subject, tried, faults: [] };
  const range = tried - settled[0].done;
  const slopes = held.map((name) => fitLine(settled.map((point) => [point.done, point[name]])).slope);
  const faults = held
    .map((name, index) => ({ name, growth: slopes[index] * range }))
    .filter(({ name, growth }) => growth > allowed[name])
    .map(({ name, growth }) => `${name} grew by ${growth.toFixed(1)} over ${range} ${subject}`);
  const slopeFigures = held.map((name, index) => [
    `${name === 'memory' ? 'MiB' : name} per 1,000`,
    1000 * slopes[index],
  ]);
  const figures = Object.fromEntries([...slopeFigures, ['MiB at the end', settled.at(-1)!.memory]]);
  return { subject, tried, faults, figures };
}
