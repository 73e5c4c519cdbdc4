// The log of a campaign: one line of JSON for each trial. It is what makes a campaign resumable, and what results come from.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Machine } from './machine.js';
import type { Trial } from './part.js';

/** A trial as it is logged. */
export type TrialRecord = Trial & {
  part: string;
  unit: string;
  seed: number;
  trial: number;
  seconds: number;
  /** ISO date of its end. */
  time: string;
};

/** The beginning of a session: the lines after it come from this machine. */
export type SessionRecord = { machine: Machine; time: string };

export type Journal = {
  readonly path: string;
  readonly trials: readonly TrialRecord[];
  readonly sessions: readonly SessionRecord[];
  /** The number after the last trial of a part with a seed. */
  nextTrial(part: string, seed: number): number;
  addTrial(record: TrialRecord): void;
  addSession(record: SessionRecord): void;
};

/** Opens a log, or begins one. A line that a killed campaign left unfinished is passed over. */
export function openJournal(path: string): Journal {
  mkdirSync(dirname(path), { recursive: true });
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const lines = text.split('\n').flatMap(parseLine);
  const trials = lines.filter((line): line is TrialRecord => 'part' in line);
  const sessions = lines.filter((line): line is SessionRecord => 'machine' in line);
  if (text !== '' && !text.endsWith('\n')) appendFileSync(path, '\n');
  const append = (record: object) => appendFileSync(path, `${JSON.stringify(record)}\n`);
  return {
    path,
    trials,
    sessions,
    nextTrial: (part, seed) =>
      1 + Math.max(-1, ...trials.filter((each) => each.part === part && each.seed === seed).map(({ trial }) => trial)),
    addTrial(record) {
      trials.push(record);
      append(record);
    },
    addSession(record) {
      sessions.push(record);
      append(record);
    },
  };
}

function parseLine(line: string): (TrialRecord | SessionRecord)[] {
  try {
    return line === '' ? [] : [JSON.parse(line)];
  } catch {
    return []; // the campaign was killed while it wrote this line
  }
}
