// Kills processes at random moments. Whatever the moment, the job resumes and ends with the bytes of an undisturbed one.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { HostRandom } from '@tb/runtime';
import { differenceOf } from '../folders.js';
import { makeInputs } from '../inputs.js';
import { cacheCommand, type Job, jobsOf } from '../jobs.js';
import type { Part, Trial, TrialInput } from '../part.js';
import { lastLine, type ProcessEnd, type Workshop } from '../workshop.js';
import { leftoversBelow, placeBystanders } from './bystanders.js';

export const kill: Part = {
  name: 'kill',
  summary:
    'SIGKILL at random moments of training, caches, samples and evaluations: they resume, and end with the same bytes',
  unit: 'kills',
  async open(workshop) {
    const inputs = await makeInputs(workshop.newFolder('inputs'));
    const cache = join(workshop.newFolder('cache'), 'cache');
    assertDone(await workshop.run(cacheCommand(inputs, cache)), 'the cache to train on');
    const jobs = jobsOf(inputs, cache, 40);
    const references = new Map<Job, Promise<Reference>>();
    return {
      async run(input) {
        const job = chooseJob(jobs, input.random);
        const reference = references.get(job) ?? runUndisturbed(job, workshop);
        references.set(job, reference);
        const undisturbed = await reference;
        return workshop.inFolder('kill', (folder) => runTrial(job, undisturbed, folder, workshop, input));
      },
    };
  },
};

/** An undisturbed run of a job. */
type Reference = {
  results: Record<string, string>;
  /** Milliseconds until the process had printed something, or half of its time where it prints nothing. */
  ready: number;
  /** Milliseconds of the complete run. */
  total: number;
};

function chooseJob(jobs: readonly Job[], random: HostRandom): Job {
  const bag = jobs.flatMap((job) => Array<Job>(job.weight).fill(job));
  return bag[random.integers(0, bag.length)];
}

async function runUndisturbed(job: Job, workshop: Workshop): Promise<Reference> {
  const folder = workshop.newFolder('reference');
  const start = performance.now();
  let ready: number | undefined;
  const onOutput = () => {
    ready ??= performance.now() - start;
  };
  const end = await workshop.run((await job.command(folder))!, { onOutput });
  assertDone(end, job.subject);
  return { results: job.results(folder), ready: ready ?? end.milliseconds / 2, total: end.milliseconds };
}

function assertDone({ code, stderr }: ProcessEnd, what: string): void {
  if (code !== 0) throw new Error(`an undisturbed run fails, so there is nothing to compare with: ${what}: ${stderr}`);
}

const mostKills = 10;

async function runTrial(
  job: Job,
  reference: Reference,
  folder: string,
  workshop: Workshop,
  { random }: TrialInput,
): Promise<Trial> {
  const out = join(folder, job.out);
  mkdirSync(out);
  const bystanders = await placeBystanders(out);
  const planned = random.integers(1, mostKills + 1);
  const faults: string[] = [];
  let kills = 0;
  for (;;) {
    const command = await job.command(folder);
    if (command === undefined) break;
    const killAfter = kills < planned ? momentOf(reference, random) : undefined;
    const end = await workshop.run(command, { killAfter });
    if (end.killed) {
      kills++;
      continue;
    }
    if (end.code !== 0) faults.push(`did not resume after ${kills} kills: ${endOf(end)}`);
    break;
  }
  if (faults.length === 0) faults.push(...faultsOf(job, reference, folder));
  faults.push(...(await bystanders.check()));
  return { subject: job.subject, tried: kills, faults };
}

/** A moment for a kill, in milliseconds after the start: few while the program is loaded, and early ones more often. */
function momentOf({ ready, total }: Reference, random: HostRandom): number {
  return 0.7 * ready + (total - 0.7 * ready) * random.uniform() ** 1.5;
}

function faultsOf(job: Job, reference: Reference, folder: string): string[] {
  const difference = differenceOf(job.results(folder), reference.results);
  const leftovers = leftoversBelow(folder);
  return [
    ...(difference === undefined ? [] : [`the results differ from an undisturbed run: ${difference}`]),
    ...(leftovers.length === 0 ? [] : [`left behind: ${leftovers.join(', ')}`]),
  ];
}

const endOf = ({ code, hung, stderr }: ProcessEnd) => (hung ? 'it hangs' : `exit code ${code}, ${lastLine(stderr)}`);
