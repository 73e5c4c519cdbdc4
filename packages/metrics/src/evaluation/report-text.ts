import { basename, resolve } from 'node:path';
import { printable } from '@tb/io';
import type { EvaluationReport } from './evaluate.js';

/** Default path of a report: in the working folder, under the name of the samples. */
export function reportFileName(samples: string): string {
  return `${basename(resolve(samples)).replace(/\.npz$/, '')}.fid.json`;
}

/** Writes the report as lines of text: the numbers first, then their provenance. */
export function reportText(report: EvaluationReport): string {
  const { confidence, inceptionScore, kernelDistance, manifold } = report;
  const percent = (value: number) => `${(100 * value).toFixed(1)}%`;
  const rows: [string, string][] = [
    [
      report.distanceName,
      report.frechetDistance.toFixed(4) +
        (confidence ? `   (95%: ${confidence.low.toFixed(3)} to ${confidence.high.toFixed(3)}, bootstrap)` : ''),
    ],
  ];
  const add = (name: string, value: string | undefined) => value !== undefined && rows.push([name, value]);
  const isFid = report.distanceName === 'FID';
  add(isFid ? 'sFID' : 'the same, spatial', report.spatialFrechetDistance?.toFixed(4));
  add(
    'Inception Score',
    inceptionScore && `${inceptionScore.mean.toFixed(3)} ± ${inceptionScore.standardDeviation.toFixed(3)}`,
  );
  add(
    isFid ? 'KID × 1000' : 'kernel distance × 1000',
    kernelDistance &&
      `${(1000 * kernelDistance.mean).toFixed(4)} ± ${(1000 * kernelDistance.standardDeviation).toFixed(4)}`,
  );
  if (manifold) {
    add(
      'precision / recall',
      `${percent(manifold.precision)} / ${percent(manifold.recall)}   (k = ${manifold.neighbours}, ${manifold.samples} samples, ${manifold.references} of the reference)`,
    );
    add('density / coverage', `${manifold.density.toFixed(3)} / ${percent(manifold.coverage)}`);
  }
  const origin = ({ name, hash, count }: EvaluationReport['reference']) =>
    `${name}${count === undefined ? '' : `, ${count} images`}, ${hash.slice(0, 16)}`;
  rows.push(['samples', origin(report.samples)], ['reference', origin(report.reference)]);
  rows.push(
    ['features', `${report.extractor}, weights ${report.weightsHash.slice(0, 16)}`],
    ['evaluator', report.evaluator],
  );
  if (report.settings) rows.push(['settings', settingsText(report.settings)]);
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => printable(`${name.padEnd(width)}   ${value}`));
  return [...lines, ...report.warnings.map((warning) => `warning: ${warning}`)].join('\n');
}

/** Settings that are a number or a word. The saved report has all settings. */
function settingsText(settings: Readonly<Record<string, unknown>>): string {
  return Object.entries(settings)
    .filter(([, value]) => typeof value !== 'object')
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}
