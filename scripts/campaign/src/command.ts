import { integer, listenForStop, number, resolve, tableCommand, text, toggle, UsageError } from '@tb/command-line';
import { openJournal } from './journal.js';
import { describeMachine } from './machine.js';
import { parts } from './parts.js';
import { recordResults } from './results.js';
import { runCampaign } from './run-campaign.js';
import { summarize, summaryText } from './summary.js';
import { openWorkshop } from './workshop.js';

const options = {
  seed: integer(
    'seed of everything that is drawn; where a kill hits the work also depends on the speed of the machine',
    {
      default: 0,
    },
  ),
  minutes: number('time for each part', { min: 0.05, max: 10_000, default: 1 }),
  log: text('file to which each trial is added; the campaign of a seed continues after its last trial there', {
    placeholder: 'file',
    default: 'runs/campaign.jsonl',
  }),
  record: toggle('write the totals of the log into docs/reliability.md and scripts/campaign/results.json', {
    default: false,
  }),
};

const names = parts.map(({ name }) => name);
const width = Math.max(...names.map((name) => name.length));

export const program = tableCommand('campaign', options, async (flags, chosen) => {
  const values = resolve(options, flags);
  const list = choose(chosen);
  const journal = openJournal(values.log);
  const stop = listenForStop('stopping after this trial; once more ends at once');
  const workshop = await openWorkshop();
  journal.addSession({ machine: describeMachine(), time: new Date().toISOString() });
  try {
    const settings = { ...values, journal, workshop, terminal: process.stderr, signal: stop.signal };
    const trials = await runCampaign(list, settings);
    console.log(summaryText(summarize(trials)));
    if (values.record) console.log(`recorded: ${recordResults(journal).join(', ')}`);
    const faults = trials.reduce((sum, trial) => sum + trial.faults.length, 0);
    process.exitCode = stop.exitCode() || (faults > 0 ? 1 : 0);
  } finally {
    stop.close();
    workshop.close();
  }
})
  .argument('[parts...]', 'parts to run (default: all)')
  .description(
    'Attack the project: nothing may be lost, nothing may run that should not, and nothing may grow without end',
  )
  .addHelpText(
    'after',
    `
Parts:
${parts.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}

The seed, the part and the number of a trial, which the log holds, determine what the trial draws. The same mutants, hostile
files and failing calls come back with them. A kill is drawn as a time, so what it interrupts depends on the speed and the load
of the machine too. Each fault is printed when it is found, names the folder with its files, which stays, and makes the exit
code 1. Ctrl-C ends the campaign after the trial in progress; the same command continues it.

Examples:
  pnpm campaign                                every part for a minute, as the checks of each change do
  pnpm campaign kill --minutes 60              one part for an hour
  pnpm campaign kill faults --seed 7           other trials
  pnpm campaign --minutes 60 --record          and write the results into the documentation`,
  );

/** @throws UsageError for a name that no part has */
function choose(chosen: readonly string[]) {
  const unknown = chosen.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new UsageError(`unknown part ${unknown}; the parts are ${names.join(', ')}`);
  return chosen.length === 0 ? parts : parts.filter(({ name }) => chosen.includes(name));
}
