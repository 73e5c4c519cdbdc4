import { textTable } from '@tb/command-line';
import type { TrialRecord } from './journal.js';

/** What a part found on one subject. */
export type Total = {
  part: string;
  subject: string;
  unit: string;
  trials: number;
  tried: number;
  /** Trials in which everything held. */
  survived: number;
  faults: number;
  minutes: number;
  /** Of the longest trial that measured any. */
  figures?: Readonly<Record<string, number>>;
};

/** Adds up trials by part and subject, in the order in which they first came. */
export function summarize(trials: readonly TrialRecord[]): Total[] {
  const totals = new Map<string, Total>();
  const longest = new Map<string, number>();
  for (const { part, subject, unit, tried, faults, seconds, figures } of trials) {
    const key = `${part}\0${subject}`;
    const empty: Total = { part, subject, unit, trials: 0, tried: 0, survived: 0, faults: 0, minutes: 0 };
    const total = totals.get(key) ?? empty;
    total.trials++;
    total.tried += tried;
    total.survived += faults.length === 0 ? 1 : 0;
    total.faults += faults.length;
    total.minutes += seconds / 60;
    if (figures && tried >= (longest.get(key) ?? 0)) {
      total.figures = figures;
      longest.set(key, tried);
    }
    totals.set(key, total);
  }
  return [...totals.values()];
}

/** The totals as a table for the terminal. */
export const summaryText = (totals: readonly Total[]): string =>
  textTable(['part', 'subject', 'trials', 'tried', 'survived', 'faults'], totals.map(rowOf));

export const rowOf = ({ part, subject, unit, trials, tried, survived, faults }: Total): string[] => [
  part,
  subject,
  count(trials),
  `${count(tried)} ${unit}`,
  count(survived),
  count(faults),
];

const count = (number: number) => number.toLocaleString('en-US');
