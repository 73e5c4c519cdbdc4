import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Part, Trial } from '../part.js';
import { steersTerminal } from '../reading.js';
import type { ProcessEnd, Workshop } from '../workshop.js';
import { type GroupName, type GroupReport, groupNames } from './group.js';

/** Pickles, archives, images and names that were published as attacks: each group once, in a separate process. */
export const hostile: Part = {
  name: 'hostile',
  summary: 'published attacks by pickles, archives, images and names: nothing runs, nothing is written outside',
  unit: 'inputs',
  async open(workshop) {
    return {
      run: async ({ trial }) => {
        const group = groupNames[trial];
        return group && workshop.inFolder('hostile', (folder) => attackByGroup(workshop, group, folder));
      },
    };
  },
};

async function attackByGroup(workshop: Workshop, group: GroupName, folder: string): Promise<Trial> {
  const end = await workshop.run(
    { program: 'hostile', args: [group, folder] },
    { env: { NODE_OPTIONS: restrictedTo(folder) } },
  );
  const report = end.code === 0 ? (JSON.parse(end.stdout) as GroupReport) : undefined;
  const faults = report?.faults ?? [`the process ended with exit code ${end.code}: ${end.stderr.slice(-500)}`];
  if (group === 'names') faults.push(...(await inspectWeights(workshop, join(folder, 'weights'))));
  return { subject: group, tried: report?.tried ?? 0, faults };
}

/** Options of Node with which a process can write to one folder only, and cannot start another. */
function restrictedTo(folder: string): string {
  const permission = Number.parseInt(process.versions.node, 10) < 24 ? '--experimental-permission' : '--permission';
  return `${permission} --allow-fs-read=* --allow-fs-write=${folder} --allow-addons --allow-worker --no-warnings`;
}

/** Every tenth file of weights with hostile names of classes, shown by the command for it. */
async function inspectWeights(workshop: Workshop, folder: string): Promise<string[]> {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  const faults: string[] = [];
  for (const file of files.filter((_, index) => index % 10 === 0)) {
    const end = await workshop.run({ program: 'tb-sample', args: ['inspect', join(folder, file)] });
    const fault = faultOfInspect(end);
    if (fault !== undefined) faults.push(`tb-sample inspect of ${file}: ${fault}`);
  }
  return faults;
}

function faultOfInspect({ code, stdout, stderr }: ProcessEnd): string | undefined {
  if (code !== 0) return `exit code ${code}: ${stderr.slice(-300)}`;
  return steersTerminal(stdout + stderr) ? `the terminal gets ${JSON.stringify(stdout.slice(0, 300))}` : undefined;
}
