import { createStatusLine, formatDuration, type Terminal } from '@tb/io';
import { hostRandom } from '@tb/runtime';
import type { Journal, TrialRecord } from './journal.js';
import type { OpenPart, Part } from './part.js';
import type { Workshop } from './workshop.js';

export type CampaignOptions = {
  seed: number;
  /** Time for each part. */
  minutes: number;
  journal: Journal;
  workshop: Workshop;
  terminal: Terminal;
  signal?: AbortSignal;
};

/**
 * Runs parts one after another, each until its time is over or nothing is left to try. A part continues after its last trial
 * of the same seed in the log.
 *
 * @returns the trials of this call
 */
export async function runCampaign(parts: readonly Part[], options: CampaignOptions): Promise<TrialRecord[]> {
  const done: TrialRecord[] = [];
  for (const part of parts) {
    if (options.signal?.aborted) break;
    options.terminal.write(`${part.name}: preparing\n`);
    const open = await part.open(options.workshop);
    try {
      done.push(...(await runPart(part, open, options)));
    } finally {
      await open.close?.();
    }
  }
  return done;
}

async function runPart(part: Part, open: OpenPart, options: CampaignOptions): Promise<TrialRecord[]> {
  const start = performance.now();
  const { seed, minutes, journal, terminal, signal } = options;
  const line = createStatusLine(terminal);
  const done: TrialRecord[] = [];
  const timeLeft = () => start + 60_000 * minutes - performance.now();
  for (let trial = journal.nextTrial(part.name, seed); timeLeft() > 0 && !signal?.aborted; trial++) {
    line.show(progressOf(part, done, timeLeft()), done.length === 0);
    const began = performance.now();
    const random = hostRandom(seed, numberOf(part.name), trial);
    const result = await open.run({ trial, random, timeLeft });
    if (result === undefined) break;
    const seconds = Number(((performance.now() - began) / 1000).toFixed(2));
    const time = new Date().toISOString();
    const record = { part: part.name, unit: part.unit, seed, trial, ...result, seconds, time };
    journal.addTrial(record);
    done.push(record);
    for (const fault of result.faults) line.print(`FAULT in ${part.name}, trial ${trial}: ${result.subject}: ${fault}`);
  }
  line.show(progressOf(part, done, Math.max(0, timeLeft())), true);
  line.end();
  return done;
}

function progressOf({ name, unit }: Part, done: readonly TrialRecord[], left: number): string {
  const tried = done.reduce((sum, record) => sum + record.tried, 0);
  const faults = done.reduce((sum, record) => sum + record.faults.length, 0);
  const counts = `${done.length} trials  ${tried.toLocaleString('en-US')} ${unit}  ${faults} faults`;
  return `${name}  ${counts}  ${formatDuration(left / 1000)} left`;
}

/** A number that depends on the name of a part only, so that the trials of a seed stay the same when parts are added. */
const numberOf = (name: string) => [...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) % 65_536, 7);
