// The frame itself: parts within their time, a log that resumes, results that people can read.
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openJournal } from './journal.js';
import { describeMachine } from './machine.js';
import type { Part, TrialInput } from './part.js';
import { type Results, withResults } from './results.js';
import { root } from './root.js';
import { runCampaign } from './run-campaign.js';
import { openScratch } from './scratch.js';
import { summarize } from './summary.js';

const workshop = {
  ...openScratch(),
  run: () => Promise.reject(new Error('no part of this test runs a program')),
};
const terminal = { write: () => {} };
const newLog = () => join(workshop.newFolder('log'), 'folder', 'log.jsonl');
afterAll(workshop.close);

/** A part of five trials, the third of which finds a fault. Returns what each of them drew. */
function fiveTrials(): { part: Part; drawn: [trial: number, number: number][] } {
  const drawn: [number, number][] = [];
  const run = async ({ trial, random }: TrialInput) => {
    if (trial >= 5) return undefined;
    drawn.push([trial, random.integers(0, 1e6)]);
    return { subject: 'numbers', tried: 10, faults: trial === 2 ? ['a number was lost'] : [], figures: { trial } };
  };
  return { part: { name: 'five', summary: '', unit: 'numbers', open: async () => ({ run }) }, drawn };
}

it('runs a part until nothing is left to try, and continues where a killed campaign ended', async () => {
  const path = newLog();
  const all = fiveTrials();
  const records = await runCampaign([all.part], {
    seed: 1,
    minutes: 1,
    journal: openJournal(path),
    workshop,
    terminal,
  });
  expect(all.drawn.map(([trial]) => trial)).toEqual([0, 1, 2, 3, 4]);
  expect(summarize(records)).toMatchObject([
    { part: 'five', subject: 'numbers', trials: 5, tried: 50, survived: 4, faults: 1, figures: { trial: 4 } },
  ]);

  const cut = newLog();
  const first = openJournal(cut);
  for (const record of records.slice(0, 2)) first.addTrial(record);
  appendFileSync(cut, '{"part":"five","tri'); // killed in the middle of a line
  const rest = fiveTrials();
  const journal = openJournal(cut);
  await runCampaign([rest.part], { seed: 1, minutes: 1, journal, workshop, terminal });
  expect(rest.drawn).toEqual(all.drawn.slice(2));
  expect(openJournal(cut).trials.map(({ trial }) => trial)).toEqual([0, 1, 2, 3, 4]);
  expect(openJournal(cut).nextTrial('five', 2)).toBe(0);
});

it('makes other trials with another seed, and none when its time is over', async () => {
  const journal = openJournal(newLog());
  const [one, other, late] = [fiveTrials(), fiveTrials(), fiveTrials()];
  await runCampaign([one.part], { seed: 1, minutes: 1, journal, workshop, terminal });
  await runCampaign([other.part], { seed: 2, minutes: 1, journal, workshop, terminal });
  expect(other.drawn).not.toEqual(one.drawn);
  await runCampaign([late.part], { seed: 3, minutes: 0, journal, workshop, terminal });
  expect(late.drawn).toEqual([]);
});

it('writes results between the marks of a page, and nothing else', async () => {
  const page = readFileSync(join(root, 'docs/reliability.md'), 'utf8');
  const results: Results = JSON.parse(readFileSync(join(root, 'scripts/campaign/results.json'), 'utf8'));
  expect(withResults(page, results), 'the page holds the results of scripts/campaign/results.json').toBe(page);
  const journal = openJournal(newLog());
  const totals = summarize(
    await runCampaign([fiveTrials().part], { seed: 4, minutes: 1, journal, workshop, terminal }),
  );
  const changed = withResults(page, {
    five: { totals, seeds: [4], from: '2026-01-02T00:00', to: '2026-01-03T00:00', machine: describeMachine() },
  });
  expect(changed).toContain('| five | numbers | 5 | 50 numbers | 4 | 1 |');
  expect(changed).toContain('| numbers | trial | 4 |');
  expect(changed).toContain('2026-01-02 to 2026-01-03');
  expect(withResults(changed, results)).toBe(page);
});
