import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { createProgressLine, percent, textTable } from '@tb/command-line';
import { type ClassAgreement, type EvaluationReport, type SmallFeatureFile, smallFeatureExtractor } from '@tb/metrics';
import { disposeTree } from '@tb/runtime';
import { classNamesOf, type ImageSource, type ReportTable } from '@tb/trainer';
import { openData } from '../../data.js';
import { joinImages, type LabelledImages } from '../../evaluation/generated-images.js';
import { judgeImages, loadJudge } from '../../evaluation/judge.js';
import { measureImages, measureReference } from '../../evaluation/measure.js';
import { readImages } from '../../evaluation/real-images.js';
import type { DemoValues } from './options.js';
import { cropData, type DemoWeights, generateNumbered, silent } from './steps.js';

/** Crops of the parts that the model was trained on; all images are compared with these. */
const referenceCrops = 400;

/**
 * Measures the images that were shown, and more of their kind, with the feature network in `file`. Prints the result.
 *
 * @returns undefined if there is no such network or no images are to be judged, after printing why
 */
export async function judgeGenerated(
  weights: DemoWeights,
  values: DemoValues,
  file: string,
  shown: LabelledImages,
): Promise<ReportTable | undefined> {
  const { judged } = values;
  if (judged === 0 || !existsSync(file)) {
    const reason =
      judged === 0 ? '--judged 0' : `${relative('.', file)}, which tb-train features makes, does not exist`;
    console.error(`  skipped: ${reason}`);
    return undefined;
  }
  const judge = await loadJudge(file, classNamesOf(weights.model), file);
  const first = shown.labels.length;
  const images =
    judged > first ? joinImages(shown, await generateNumbered(weights, values, first, judged - first)) : shown;
  const table = await measure(images, judge, weights.photographs);
  disposeTree(judge.params);
  console.error(tableText(table));
  return table;
}

type Verdict = { report: EvaluationReport; agreement: ClassAgreement };

/**
 * Measures as many real crops too: they show how much numbers of so few images vary. All sets have the same number of images of
 * each class: a set of few images with another mix of classes is far from the reference for that reason alone.
 */
async function measure(generated: LabelledImages, judge: SmallFeatureFile, photographs: string): Promise<ReportTable> {
  const values = { ...cropData(photographs, 0), flip: false };
  const [first, second] = [await openData(values, silent), await openData({ ...values, seed: 1 }, silent)];
  const readInTurn = (source: ImageSource, images: number) => readImages({ ...source, length: images }, images, values);
  const line = createProgressLine();
  line.stage('  reading crops of the photographs');
  const count = generated.labels.length;
  const crops = { name: 'training crops', ...(await readInTurn(first.training, referenceCrops)) };
  const seenParts = await readInTurn(second.training, count);
  const heldOut = await readInTurn(second.validation!, count);

  const extractor = smallFeatureExtractor(judge);
  const onProgress = (done: number, total: number) => line.show(done, total, '  measured');
  const reference = await measureReference(crops, extractor, onProgress);
  const verdict = async (images: LabelledImages): Promise<Verdict> => ({
    report: await measureImages({ name: 'images', ...images }, reference, extractor, { seed: 0, resamples: 0 }),
    agreement: await judgeImages(judge, images),
  });
  const table = tableOf([await verdict(generated), await verdict(seenParts), await verdict(heldOut)]);
  line.end();
  return table;
}

function tableOf(verdicts: [generated: Verdict, seenParts: Verdict, heldOut: Verdict]): ReportTable {
  const [{ report, agreement }] = verdicts;
  const share = (value: number | undefined) => percent(value ?? Number.NaN, 0);
  const row = (name: string, value: (verdict: Verdict) => string) => [name, ...verdicts.map(value)];
  const error = Math.round(100 * 1.96 * Math.sqrt(0.25 / agreement.images)); // of a share near one half
  return {
    title: 'Generated and real images, judged by a classifier',
    heads: [`${agreement.images} images each`, 'generated', 'real, parts trained on', 'real, held-out parts'],
    rows: [
      row('class as asked', ({ agreement: { overall } }) => share(overall)),
      row(report.distanceName, ({ report: { frechetDistance } }) => frechetDistance.toFixed(2)),
      row('precision', ({ report: { manifold } }) => share(manifold?.precision)),
      row('recall', ({ report: { manifold } }) => share(manifold?.recall)),
    ],
    note:
      `Compared with ${report.reference.count} crops of the parts trained on, by the features of a small classifier of these ` +
      `photographs (SHA-256 ${report.weightsHash.slice(0, 16)}…). The distance is not an FID: compare it with the other ` +
      `columns only. The best possible distance is that of other crops of the parts trained on. Held-out parts show other ` +
      `things, so their distance is larger than that of images which resemble the parts trained on. Numbers of so few images are rough: shares may be off by ${error} points, and distances are too large.`,
  };
}

/** The table as lines for a terminal, with the note one sentence a line. */
function tableText({ heads, rows, note = '' }: ReportTable): string {
  return `${textTable(heads, rows)}\n\n${note.replaceAll('. ', '.\n')}`.replace(/^/gm, '  ');
}
