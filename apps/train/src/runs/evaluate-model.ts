import { assertExists, prepareFile, UsageError, withDefaults } from '@tb/command-line';
import { startEngine } from '@tb/command-line/compute';
import { printable, writeFileAtomic } from '@tb/io';
import {
  type ClassAgreement,
  createProgressLine,
  type FeatureExtractor,
  inceptionExtractor,
  loadInceptionWeights,
  reportText,
  smallFeatureExtractor,
} from '@tb/metrics';
import { classNamesOf, loadModel, loadVaeFile } from '@tb/trainer';
import { downsamplingFactor } from '@tb/vae';
import { openData } from '../data/open-data.js';
import { generateImages } from '../evaluation/generated-images.js';
import { judgePictures, loadJudge } from '../evaluation/judge.js';
import { measurePictures } from '../evaluation/measure.js';
import { readImages } from '../evaluation/real-images.js';
import { assertPicturesFit } from '../options/conflicts.js';
import { evalDefaults } from '../options/defaults.js';
import type { EvalValues } from '../options/tables.js';

/** Far apart, so that the pictures of neighbouring seeds have none in common. */
const seedStride = 1_000_003;

/** `tb-train eval` with the flags that were given. */
export async function evaluateModel(flags: EvalValues): Promise<void> {
  const values = withDefaults(evalDefaults, flags);
  const { samples: count, seed, numIter, cfg, batch, json } = values;
  assertPicturesFit(values, [flags]);
  if (values.features !== undefined && values.weights !== undefined)
    throw new UsageError('--weights does nothing beside --features, which takes the place of Inception-v3');
  await prepareFile('--json', json);
  const { vae, model, judge, extractor, data } = await openInputs(values);
  const real = await readImages(data.training, count, values);
  const held = data.validation && (await readImages(data.validation, count, values));
  const line = createProgressLine(process.stderr);
  const onProgress = (done: number, total: number) => line.show('generated', done, total);
  const firstSeed = seed * seedStride;
  const generated = await generateImages(vae, model, { count, firstSeed, numIter, cfg, batch, onProgress });
  const settings = { model: model.sha256, vae: vae.sha256, seed, numIter, cfg };
  const report = await measurePictures(
    { name: 'generated', settings, ...generated },
    { name: `training pictures of ${values.data}`, ...real },
    extractor,
    { seed },
  );
  const agreement = judge && {
    generated: await judgePictures(judge, generated),
    heldOut: held && (await judgePictures(judge, held)),
  };
  console.log(reportText(report));
  if (agreement) console.log(agreementText(classNamesOf(model), agreement.generated, agreement.heldOut));
  await writeFileAtomic(json, `${JSON.stringify({ ...report, agreement }, null, 2)}\n`);
  console.log(`report: ${json}`);
}

/** The networks, and the pictures in the size of those that the model makes unless another is asked for. */
async function openInputs(values: EvalValues) {
  if (values.features !== undefined) assertExists('--features', values.features);
  await startEngine(values);
  const vae = await loadVaeFile(values.vae);
  if (values.model === undefined)
    throw new UsageError('--model must name the weights of a model; tb-train model makes them');
  const model = await loadModel(values.model);
  const judge = values.features ? await loadJudge(values.features, classNamesOf(model), '--features') : undefined;
  const extractor = judge ? smallFeatureExtractor(judge) : await loadInception(values.weights);
  const { imageSize = model.config.latent.height * downsamplingFactor(vae.config) } = values;
  const data = await openData({ ...values, imageSize, flip: false });
  if (judge && data.validation && data.validation.classNames.join() !== judge.classNames.join())
    throw new UsageError(
      'the held-out pictures of --data must have the classes of the model: --features is to judge them',
    );
  return { vae, model, judge, extractor, data };
}

async function loadInception(path: string | undefined): Promise<FeatureExtractor> {
  const { weights, hash } = await loadInceptionWeights({ path });
  return inceptionExtractor(weights, hash);
}

/** How often the judge sees the class asked for, and how far it is to be trusted. */
function agreementText(names: readonly string[], generated: ClassAgreement, held: ClassAgreement | undefined): string {
  const percent = (share: number) => (Number.isNaN(share) ? '-' : `${(100 * share).toFixed(1)}%`);
  const row = (name: string, index?: number) => {
    const of = (agreement: ClassAgreement) =>
      percent(index === undefined ? agreement.overall : agreement.perClass[index]);
    return `  ${name.padEnd(20)} ${of(generated).padStart(8)}${held ? of(held).padStart(14) : ''}`;
  };
  return [
    `class as asked       generated${held ? '  held-out real' : ''}`,
    row('all'),
    ...names.map((name, index) => row(printable(name), index)),
  ].join('\n');
}
