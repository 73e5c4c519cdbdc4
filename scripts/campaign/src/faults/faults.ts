// Lets every single system call of a job fail once. The job ends with one sentence, loses nothing, and works when it is run again.
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { differenceOf } from '../folders.js';
import { makeInputs } from '../inputs.js';
import { type Job, jobsOf } from '../jobs.js';
import { leftoversBelow } from '../kill/bystanders.js';
import type { Part, Trial } from '../part.js';
import { lastLine, type ProcessEnd, type Workshop } from '../workshop.js';
import { buildLibrary, type Call, calls, environmentOf, type FaultPoint, failures } from './library.js';

export const faults: Part = {
  name: 'faults',
  summary:
    'the n-th open, write, fsync, rename or close fails, for every n: one sentence, nothing lost, and the next run works',
  unit: 'failing calls',
  async open(workshop) {
    const library = buildLibrary(workshop.newFolder('library'));
    if ('missing' in library) {
      console.error(`notice: faults is skipped: ${library.missing}`);
      return { run: async () => undefined };
    }
    const inputs = await makeInputs(workshop.newFolder('inputs'));
    const jobs = jobsOf(inputs, undefined, 4);
    const subjects: Subject[] = [];
    for (const job of jobs) subjects.push(await prepare(job, library.path, workshop));
    const points = subjects.flatMap((subject) => pointsOf(subject).map((point) => ({ subject, point })));
    return {
      async run({ trial }) {
        if (trial >= points.length) return undefined;
        const { subject, point } = points[spread(trial, points.length)];
        return workshop.inFolder('fault', (folder) => runTrial(subject, point, folder, library.path, workshop));
      },
    };
  },
};

/** A job that was interrupted in its middle, and how it ends when nothing fails. */
type Subject = {
  job: Job;
  /** Folder with what the interrupted job left; copied for each trial. */
  before: string;
  progress: number;
  results: Record<string, string>;
  /** How often the resumed job makes each call on its files. */
  counts: Record<Call, number>;
};

async function prepare(job: Job, library: string, workshop: Workshop): Promise<Subject> {
  const complete = workshop.newFolder('complete');
  const { rename } = await runCounted(job, complete, library, workshop);
  const before = workshop.newFolder('before');
  const point: FaultPoint = { call: 'rename', number: Math.ceil(rename / 2), failure: 'SIGKILL' };
  await runWith(job, before, environmentOf(library, before, { point }), workshop);
  const resumed = workshop.newFolder('resumed');
  cpSync(before, resumed, { recursive: true });
  const counts = await runCounted(job, resumed, library, workshop);
  const results = job.results(complete);
  const difference = differenceOf(job.results(resumed), results);
  if (difference)
    throw new Error(`${job.subject}, interrupted and resumed, differs from an undisturbed run: ${difference}`);
  return { job, before, progress: await job.progress(before), results, counts };
}

async function runCounted(
  job: Job,
  folder: string,
  library: string,
  workshop: Workshop,
): Promise<Record<Call, number>> {
  const countFile = join(workshop.newFolder('counts'), 'calls');
  const { code, stderr } = await runWith(job, folder, environmentOf(library, folder, { countFile }), workshop);
  if (code !== 0) throw new Error(`${job.subject} fails where no call does: ${stderr}`);
  const lines = readFileSync(countFile, 'utf8').trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => line.split(' ')).map(([name, count]) => [name, Number(count)]),
  ) as Record<Call, number>;
}

async function runWith(job: Job, folder: string, env: NodeJS.ProcessEnv, workshop: Workshop): Promise<ProcessEnd> {
  mkdirSync(join(folder, job.out), { recursive: true });
  return workshop.run((await job.command(folder))!, { env, timeout: 60_000 });
}

const pointsOf = ({ counts }: Subject): FaultPoint[] =>
  calls.flatMap((call) =>
    Array.from({ length: counts[call] }, (_, index) => index + 1).flatMap((number) =>
      failures.map((failure) => ({ call, number, failure })),
    ),
  );

/** Visits all numbers below `count` in an order that jumps, so that a short campaign sees something of everything. */
function spread(trial: number, count: number): number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  let step = Math.floor(count * 0.618) || 1;
  while (gcd(step, count) !== 1) step++;
  return (trial * step) % count;
}

async function runTrial(
  subject: Subject,
  point: FaultPoint,
  folder: string,
  library: string,
  workshop: Workshop,
): Promise<Trial> {
  const { job, before, progress, results } = subject;
  cpSync(before, folder, { recursive: true });
  const end = await runWith(job, folder, environmentOf(library, folder, { point }), workshop);
  const found = point.failure === 'SIGKILL' ? [] : faultsOfEnd(end, () => differenceOf(job.results(folder), results));
  const kept = await job.progress(folder).catch((error: Error) => error.message);
  if (typeof kept === 'string') found.push(`what was finished is damaged: ${kept}`);
  else if (kept < progress) found.push(`of ${progress} finished steps or files ${kept} are left`);
  found.push(...(await faultsOfNextRun(subject, folder, workshop)));
  const where = `${point.call} number ${point.number} with ${point.failure}`;
  const figures = { 'failing calls in all': pointsOf(subject).length };
  return { subject: job.subject, tried: 1, figures, faults: found.map((fault) => `${where}: ${fault}`) };
}

/** A failure is one sentence and an exit code; if the job ends well in spite of it, its results are complete. */
function faultsOfEnd({ code, hung, stderr }: ProcessEnd, difference: () => string | undefined): string[] {
  if (hung) return ['it hangs'];
  if (code === null) return ['a signal ended it'];
  const last = lastLine(stderr);
  if (/^ +at |\b(Type|Reference|Syntax|Range)Error\b|\[object|unhandled/im.test(stderr))
    return [`an inner error: ${last}`];
  if (code === 0) {
    const other = difference();
    return other === undefined ? [] : [`exit code 0, but the results differ: ${other}`];
  }
  return /^(tb-train|tb-sample|train|evaluate): .{20}/.test(last) ? [] : [`no sentence: ${last}`];
}

async function faultsOfNextRun({ job, results }: Subject, folder: string, workshop: Workshop): Promise<string[]> {
  const command = await job.command(folder);
  const end = command && (await workshop.run(command, { timeout: 60_000 }));
  if (end && end.code !== 0) return [`the next run ends with code ${end.code}: ${lastLine(end.stderr)}`];
  const difference = differenceOf(job.results(folder), results);
  // Where nothing is left to do, no run removes the lock of the process that failed; it does not count, see folder-lock.ts.
  const leftovers = leftoversBelow(folder).filter((path) => end !== undefined || !path.endsWith('.tb-lock'));
  return [
    ...(difference === undefined ? [] : [`the results of the next run differ: ${difference}`]),
    ...(leftovers.length === 0 ? [] : [`left behind after the next run: ${leftovers.join(', ')}`]),
  ];
}
