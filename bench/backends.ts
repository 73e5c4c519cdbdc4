/**
 * What each backend reaches on this machine, each in a separate process, in turns, so that other programs slow down all
 * alike; of several rounds the fastest figures count. Prints the table of docs/backends.md, and merges it into `--out`.
 *
 *   node --import tsx --conditions=@tb/source bench/backends.ts [--rounds 3] [--out bench/results/backends.json] [wasm …]
 *
 * `wasm@4` is wasm on four threads.
 */
import { execFileSync } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Figures, fastest, markdownTable } from './fastest.js';
import { commandOf, type Result, report } from './results.js';

type Measured = Result & { engine: string; figures: Figures };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, out: { type: 'string' } },
});
const names = positionals.length > 0 ? positionals : ['wasm', 'tensorflow', 'cpu'];
const program = fileURLToPath(new URL(`./backend-figures${extname(import.meta.url)}`, import.meta.url));

function measure(name: string): Measured {
  const [backend, threads] = name.split('@');
  const output = execFileSync(process.execPath, [...process.execArgv, program, backend], {
    encoding: 'utf8',
    env: { ...process.env, ...(threads && { TB_WASM_THREADS: threads }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output.trim().split('\n').at(-1)!) as Measured;
}

const runs: Record<string, Measured[]> = Object.fromEntries(names.map((name) => [name, []]));
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const name of names) {
    const measured = measure(name);
    runs[name].push(measured);
    console.error(`round ${round}, ${name}: ${JSON.stringify(fastest([measured.figures]))}`);
  }
}
const backends = Object.fromEntries(
  names.map((name) => {
    const [{ engine }] = runs[name];
    return [name, { engine, figures: fastest(runs[name].map(({ figures }) => figures)) }];
  }),
);
const all = Object.values(runs).flat();
const [{ date }] = all;
report(
  {
    date,
    hardware: [...new Set(all.map(({ hardware }) => hardware))].join(', '),
    versions: Object.assign({}, ...all.map(({ versions }) => versions)),
    command: commandOf(process.argv),
    preset: 'tiny',
    ...backends,
  },
  values.out,
);
console.log(markdownTable(backends));
