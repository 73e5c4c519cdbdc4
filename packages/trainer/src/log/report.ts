// A run's report: one HTML file that needs nothing else, so that it can be mailed or archived.
import { formatDuration } from '@tb/io';
import { lossChart } from './chart.js';
import type { LogRecord } from './json-lines.js';

/** An image of a report. */
export type ReportImage = { title: string; png: Uint8Array };

/** The first column of each row names it. */
export type ReportTable = {
  title: string;
  heads: readonly string[];
  rows: readonly (readonly string[])[];
  /** A note below the table on how far to trust the numbers. */
  note?: string;
};

/** What a report shows. */
export type ReportInput = {
  title: string;
  config: Record<string, unknown>;
  records: readonly LogRecord[];
  images: readonly ReportImage[];
  /** Results, below the images. */
  tables?: readonly ReportTable[];
  /** Whether the curves or the images come first (default: the curves). */
  order?: 'curves first' | 'images first';
  /** Sentences above everything else: how the run ended, what to look at. */
  notes?: readonly string[];
};

/** Renders the report as an HTML document. */
export function renderReport(input: ReportInput): string {
  const { title, config, records, images, tables = [], order = 'curves first', notes = [] } = input;
  const steps = records.filter(({ event }) => event === 'step');
  const validations = records.filter(({ event }) => event === 'validation');
  const bad = records.filter(({ event }) => event === 'bad-image');
  const progress = [summary(steps), ...curves(steps, validations)];
  const shown = [...images.map(({ title: name, png }) => figure(name, png)), ...tables.map(results)];
  const sections = [
    `<h1>${escapeHtml(title)}</h1>`,
    ...notes.map((note) => `<p>${escapeHtml(note)}</p>`),
    ...(order === 'curves first' ? [...progress, ...shown] : [...shown, ...progress]),
    bad.length > 0 ? `<h2>Unreadable images (${bad.length})</h2>${list(bad)}` : '',
    `<h2>Configuration</h2><pre>${escapeHtml(JSON.stringify(config, null, 2))}</pre>`,
  ];
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escapeHtml(title)}</title><style>${style}</style><body>${sections.join('\n')}</body></html>\n`;
}

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.6rem}h2{font-size:1.1rem;margin-top:2rem}svg{width:100%;height:auto}img{max-width:100%;image-rendering:pixelated}
figure{margin:1rem 0}pre{background:#f5f5f5;padding:1rem;overflow:auto;font-size:13px}table{border-collapse:collapse}
td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:right}td:first-child{text-align:left}`;

function summary(steps: readonly LogRecord[]): string {
  const last = steps.at(-1);
  if (!last) return '<p>No step was logged.</p>';
  const cells: [string, string][] = [
    ['steps', String(last.step)],
    ['loss', Number(last.loss).toFixed(4)],
    ['smoothed loss', Number(last.smoothedLoss).toFixed(4)],
    ['images/s', Number(last.imagesPerSecond).toFixed(1)],
    ['time', formatDuration(Number(last.seconds))],
  ];
  return table(
    cells.map(([head]) => head),
    [cells.map(([, value]) => value)],
  );
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (tag: string, texts: readonly string[]) =>
    `<tr>${texts.map((text) => `<${tag}>${escapeHtml(text)}</${tag}>`).join('')}</tr>`;
  return `<table>${row('th', heads)}${rows.map((texts) => row('td', texts)).join('')}</table>`;
}

function results({ title, heads, rows, note }: ReportTable): string {
  return `<h2>${escapeHtml(title)}</h2>${table(heads, rows)}${note ? `<p>${escapeHtml(note)}</p>` : ''}`;
}

function curves(steps: readonly LogRecord[], validations: readonly LogRecord[]): string[] {
  const points = (records: readonly LogRecord[], name: string) =>
    records.map((record) => ({ x: record.step, y: Number(record[name]) })).filter(({ y }) => Number.isFinite(y));
  const charts = [
    `<h2>Loss: of each step (light), smoothed (dark)</h2>${lossChart([
      { points: points(steps, 'loss'), colour: '#c8d6e5' },
      { points: points(steps, 'smoothedLoss'), colour: '#1f5fa8' },
    ])}`,
    `<h2>Learning rate</h2>${lossChart([{ points: points(steps, 'learningRate'), colour: '#a8621f' }])}`,
  ];
  const names = new Set(validations.flatMap((record) => Object.keys(record)));
  for (const name of ['event', 'step', 'time']) names.delete(name);
  for (const name of names) {
    charts.push(
      `<h2>Validation: ${escapeHtml(name)}</h2>${lossChart([{ points: points(validations, name), colour: '#2a7d46' }])}`,
    );
  }
  return charts;
}

function figure(title: string, png: Uint8Array): string {
  const data = Buffer.from(png).toString('base64');
  return `<h2>${escapeHtml(title)}</h2><figure><img alt="${escapeHtml(title)}" src="data:image/png;base64,${data}"></figure>`;
}

function list(bad: readonly LogRecord[]): string {
  return `<ul>${bad.map(({ path, reason }) => `<li>${escapeHtml(`${path}: ${reason}`)}</li>`).join('')}</ul>`;
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => entities[character]);
}
