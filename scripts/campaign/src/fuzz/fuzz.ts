import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Part, Trial } from '../part.js';
import { root } from '../root.js';
import type { ProcessEnd, Workshop } from '../workshop.js';
import { targets } from './targets/index.js';

/** Milliseconds of one trial, about. */
const trialTime = 1500;

/** Milliseconds after which a process that should have ended hangs. */
const longestTrial = 120_000;

/** Most mutants of one trial. */
const mostMutants = 50_000;

/** Mutants of every kind of file that is read, each trial in a separate process. */
export const fuzz: Part = {
  name: 'fuzz',
  summary: 'mutants of every file that is read: a sentence, little time and memory, no other numbers behind a checksum',
  unit: 'mutants',
  async open(workshop) {
    return {
      run: async ({ trial, random, timeLeft }) => {
        const { name, cost } = targets[trial % targets.length]!;
        const mutants = Math.min(mostMutants, Math.ceil(trialTime / cost));
        const milliseconds = Math.max(500, Math.min(4 * trialTime, timeLeft()));
        const args = [name, random.integers(0, 2 ** 31), trial, mutants, Math.round(milliseconds), root];
        return attackInProcess(workshop, name, args.map(String));
      },
    };
  },
};

type Report = {
  tried: number;
  accepted: number;
  refused: number;
  slowest: number;
  largest: number;
  faults: { index: number; what: string }[];
};

async function attackInProcess(workshop: Workshop, name: string, args: string[]): Promise<Trial> {
  const folder = workshop.newFolder('fuzz');
  const end = await workshop.run({ program: 'fuzz', args: [...args, folder] }, { timeout: longestTrial });
  const report = end.code === 0 ? (JSON.parse(end.stdout) as Report) : undefined;
  const faults = report ? report.faults.map(({ index, what }) => `mutant ${index}: ${what}`) : [deathOf(end, folder)];
  const place = faults.length > 0 ? `; its files are in ${keep(folder)}` : '';
  const tried = report?.tried ?? mutantOf(folder) + 1;
  rmSync(folder, { recursive: true, force: true });
  return {
    subject: name,
    tried,
    faults: faults.map((fault) => fault + place),
    figures: report && {
      'ms of the slowest': Math.round(report.slowest),
      'MiB of the largest': Math.round(report.largest / 2 ** 20),
      accepted: report.accepted,
    },
  };
}

/** The number of the mutant that was being read. */
function mutantOf(folder: string): number {
  const file = join(folder, 'mutant');
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

function deathOf({ hung, code, stderr }: ProcessEnd, folder: string): string {
  const how = hung ? 'did not end' : `ended with ${code === null ? 'a signal' : `exit code ${code}`}`;
  return `mutant ${mutantOf(folder)}: the process ${how}: ${stderr.slice(-500)}`;
}

/** Keeps the files of a fault, mutants included. @returns where */
function keep(folder: string): string {
  const place = join(tmpdir(), 'tb-campaign-faults');
  mkdirSync(place, { recursive: true });
  const kept = mkdtempSync(join(place, 'fuzz-'));
  cpSync(folder, kept, { recursive: true });
  return kept;
}
