import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { type ClassAgreement, type EvaluationReport, type SmallFeatureFile, smallFeatureExtractor } from '@tb/metrics';
import { classNamesOf, type ImageSource, type ReportTable } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { openData } from '../data/open-data.js';
import { joinPictures, type LabelledPictures } from '../evaluation/generated-images.js';
import { judgePictures, loadJudge } from '../evaluation/judge.js';
import { measurePictures } from '../evaluation/measure.js';
import { readImages } from '../evaluation/real-images.js';
import type { DemoValues } from '../options/tables.js';
import { cropData, type DemoWeights, generatePictures } from './demo-steps.js';

/** Crops of what the model was trained on, with which all others are compared. */
const referenceCrops = 400;

/**
 * Measures the pictures that were shown, and more of their kind, with the feature network in `file`; prints the result.
 *
 * @returns nothing, having said why, where there is no such network or no pictures are to be judged
 */
export async function judgeGenerated(
  weights: DemoWeights,
  values: DemoValues,
  file: string,
  shown: LabelledPictures,
): Promise<ReportTable | undefined> {
  const judged = values.judged!;
  if (judged === 0 || !existsSync(file)) {
    const reason =
      judged === 0 ? '--judged 0' : `${relative('.', file)}, which tb-train features makes, does not exist`;
    console.error(`  skipped: ${reason}`);
    return undefined;
  }
  const classNames = classNamesOf(weights.model);
  const judge = await loadJudge(file, classNames, file);
  const missing = judged - shown.labels.length;
  const pictures =
    missing > 0 ? joinPictures(shown, await generatePictures(weights, values, shown.labels.length, missing)) : shown;
  const table = await measure(pictures, judge, weights.photographs);
  tf.dispose(judge.params as unknown as tf.TensorContainer);
  console.error(tableText(table));
  return table;
}

type Verdict = { report: EvaluationReport; agreement: ClassAgreement };

/** Beside the generated pictures as many real crops: what numbers of so few are worth. */
async function measure(
  generated: LabelledPictures,
  judge: SmallFeatureFile,
  photographs: string,
): Promise<ReportTable> {
  const open = (seed: number) => openData({ ...cropData(photographs, seed), flip: false });
  const [first, second] = [await open(0), await open(1)];
  const reference = { name: 'training crops', ...(await readImages(first.training, referenceCrops, { threads: 1 })) };
  const extractor = smallFeatureExtractor(judge);
  const verdict = async (pictures: LabelledPictures): Promise<Verdict> => ({
    report: await measurePictures({ name: 'pictures', ...pictures }, reference, extractor, { seed: 0, resamples: 0 }),
    agreement: await judgePictures(judge, pictures),
  });
  const asMany = (source: ImageSource) => readImages(source, generated.labels.length, { threads: 1 });
  return tableOf([
    await verdict(generated),
    await verdict(await asMany(second.training)),
    await verdict(await asMany(second.validation!)),
  ]);
}

function tableOf(verdicts: [generated: Verdict, seenParts: Verdict, heldOut: Verdict]): ReportTable {
  const [{ report, agreement }] = verdicts;
  const percent = (share: number | undefined) => (share === undefined ? '-' : `${(100 * share).toFixed(0)}%`);
  const row = (name: string, value: (verdict: Verdict) => string) => [name, ...verdicts.map(value)];
  const error = Math.round(100 * 1.96 * Math.sqrt(0.25 / agreement.images)); // of a share near one half
  return {
    title: 'What a judge of the classes says',
    heads: [`${agreement.images} pictures each`, 'generated', 'real, parts trained on', 'real, held-out parts'],
    rows: [
      row('class as asked', ({ agreement: { overall } }) => percent(overall)),
      row(report.distanceName, ({ report: { frechetDistance } }) => frechetDistance.toFixed(2)),
      row('precision', ({ report: { manifold } }) => percent(manifold?.precision)),
      row('recall', ({ report: { manifold } }) => percent(manifold?.recall)),
    ],
    note:
      `Against ${report.reference.count} crops of the parts trained on, by the features of a small classifier of these ` +
      `photographs (SHA-256 ${report.weightsHash.slice(0, 16)}…): no FID, and to be compared with the other columns ` +
      `alone. So few pictures give rough numbers: shares may be off by ${error} points, and distances are too large.`,
  };
}

/** The table as lines for a terminal, the note a sentence a line. */
function tableText({ heads, rows, note = '' }: ReportTable): string {
  const lines = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(...lines.map((cells) => cells[column].length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  return [...lines.map(line), '', ...note.split(/(?<=\.) /)].map((text) => `  ${text}`).join('\n');
}
