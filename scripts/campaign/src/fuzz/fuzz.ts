import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Part, Trial } from '../part.js';
import { root } from '../root.js';
import type { ProcessEnd, Workshop } from '../workshop.js';
import type { Attack } from './attack.js';
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
        return workshop.inFolder('fuzz', (folder) => attackInProcess(workshop, name, folder, args.map(String)));
      },
    };
  },
};

/** What the process prints: the mutants themselves are in files. */
type Report = Omit<Attack, 'faults'> & { faults: { index: number; what: string }[] };

async function attackInProcess(workshop: Workshop, name: string, folder: string, args: string[]): Promise<Trial> {
  const end = await workshop.run({ program: 'fuzz', args: [...args, folder] }, { timeout: longestTrial });
  const report = end.code === 0 ? (JSON.parse(end.stdout) as Report) : undefined;
  return {
    subject: name,
    tried: report?.tried ?? mutantOf(folder) + 1,
    faults: report ? report.faults.map(({ index, what }) => `mutant ${index}: ${what}`) : [deathOf(end, folder)],
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
