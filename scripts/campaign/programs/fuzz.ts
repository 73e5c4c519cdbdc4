// Reads mutants of one kind of file in a separate process, for some end the process.
//   fuzz.js <target> <seed> <trial> <mutants> <milliseconds> <root> <folder>
// Prints what it found as a line of JSON. The number of the mutant in progress is in <folder>/mutant.
import { mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { attack } from '../src/fuzz/attack.js';
import { targets } from '../src/fuzz/targets/index.js';

const [name, seed, trial, mutants, milliseconds, root, folder] = process.argv.slice(2) as [string, ...string[]] &
  string[];
const opener = targets.find((target) => target.name === name);
if (opener === undefined)
  throw new Error(`no target is named ${name}: ${targets.map((target) => target.name).join(', ')}`);
const work = join(folder!, 'work');
mkdirSync(work, { recursive: true });
const target = await opener.open(work, root!);
const state = openSync(join(folder!, 'mutant'), 'w');
const { faults, ...counts } = await attack(target, {
  seed: Number(seed),
  trial: Number(trial),
  mutants: Number(mutants),
  milliseconds: Number(milliseconds),
  onMutant: (index) => writeSync(state, String(index).padEnd(12), 0),
});
for (const { index, bytes } of faults) writeFileSync(join(folder!, `fault-${index}`), bytes);
console.log(JSON.stringify({ ...counts, faults: faults.map(({ index, what }) => ({ index, what })) }));
