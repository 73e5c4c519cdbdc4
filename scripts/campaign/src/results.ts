// Results for people and programs: totals in results.json, and from it the generated section of docs/reliability.md.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Journal, SessionRecord } from './journal.js';
import type { Machine } from './machine.js';
import { root } from './root.js';
import { rowOf, summarize, type Total } from './summary.js';

/** The totals of one part, and where they come from. */
export type PartResults = {
  totals: readonly Total[];
  seeds: readonly number[];
  /** Dates of the first and the last trial. */
  from: string;
  to: string;
  machine: Machine;
};

export type Results = Record<string, PartResults>;

const jsonFile = 'scripts/campaign/results.json';
const page = 'docs/reliability.md';
const begin = '<!-- The lines from here on are written by pnpm campaign with --record. -->';
const end = '<!-- The written lines end here. -->';

/** Writes the results of every part in the log, and leaves those of other parts as they are. @returns the files */
export function recordResults(journal: Journal): string[] {
  const path = join(root, jsonFile);
  const known: Results = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  const results = { ...known, ...resultsOf(journal) };
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`);
  const document = join(root, page);
  writeFileSync(document, withResults(readFileSync(document, 'utf8'), results));
  return [jsonFile, page];
}

function resultsOf({ trials, sessions }: Journal): Results {
  const names = [...new Set(trials.map(({ part }) => part))];
  const entries = names.map((name): [string, PartResults] => {
    const own = trials.filter(({ part }) => part === name);
    const last = own[own.length - 1];
    const totals = summarize(own).map((total) => ({ ...total, minutes: Number(total.minutes.toFixed(1)) }));
    const seeds = [...new Set(own.map(({ seed }) => seed))];
    return [name, { totals, seeds, from: own[0].time, to: last.time, machine: machineOf(sessions, last.time) }];
  });
  return Object.fromEntries(entries);
}

/** The machine of the session in which something happened. */
const machineOf = (sessions: readonly SessionRecord[], time: string): Machine =>
  sessions.filter((session) => session.time <= time).at(-1)!.machine;

/** Replaces the generated section of a page. */
export function withResults(text: string, results: Results): string {
  const [before] = text.split(begin);
  const [, after = ''] = text.split(end);
  return `${before}${begin}\n\n${sectionOf(results)}\n\n${end}${after}`;
}

function sectionOf(results: Results): string {
  const parts = Object.values(results);
  const header = ['part', 'subject', 'trials', 'tried', 'survived', 'faults'];
  const rows = parts.flatMap(({ totals }) => totals.map(rowOf));
  const figures = parts.flatMap(({ totals }) =>
    totals.flatMap(({ subject, figures = {} }) =>
      Object.entries(figures).map(([name, value]) => [subject, name, String(Number(value.toPrecision(4)))]),
    ),
  );
  const measured = figures.length > 0 ? [markdownTable(['subject', 'figure', 'value'], figures)] : [];
  return [markdownTable(header, rows), ...measured, ...parts.map(sourceOf)].join('\n\n');
}

function sourceOf({ totals, seeds, from, to, machine }: PartResults): string {
  const [{ part }] = totals;
  const minutes = totals.reduce((sum, total) => sum + total.minutes, 0).toFixed(0);
  const dates = [...new Set([from.slice(0, 10), to.slice(0, 10)])].join(' to ');
  const { processor, cores, memory, system, node, tensorflow, commit } = machine;
  return (
    `\`${part}\`: ${dates}, ${minutes} minutes, ${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}, ` +
    `commit ${commit}; ${processor}, ${cores} cores, ${memory} GiB; ${system}, Node ${node}, TensorFlow.js ${tensorflow}.`
  );
}

function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, header.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
