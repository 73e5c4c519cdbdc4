import { assertExists, createProgressLine, percent, prepareFile, textTable, UsageError } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { writeFileAtomic } from '@tb/io';
import {
  type ClassAgreement,
  type FeatureExtractor,
  findInceptionWeights,
  inceptionExtractor,
  loadInceptionWeights,
  reportText,
  smallFeatureExtractor,
} from '@tb/metrics';
import { assertSameVae, classNamesOf, compareData, findVae, loadModel, loadVaeFile, vaeOfModel } from '@tb/trainer';
import { downsamplingFactor } from '@tb/vae';
import { openData } from '../../data.js';
import { generateImages } from '../../evaluation/generated-images.js';
import { judgeImages, loadJudge } from '../../evaluation/judge.js';
import { measureImages, measureReference } from '../../evaluation/measure.js';
import { readImages } from '../../evaluation/real-images.js';
import { evalSeedStride } from '../../seeds.js';
import type { EvalValues } from './options.js';

/** `tb-train eval`. */
export async function evaluateModel(values: EvalValues): Promise<void> {
  const { samples: count, seed, numIter, cfg, batch, json } = values;
  await prepareFile('--json', json);
  const { vae, model, judge, extractor, data } = await openInputs(values);
  const real = await readImages(data.training, count, values);
  const heldOut = data.validation && (await readImages(data.validation, count, values));

  const line = createProgressLine();
  const progressOf = (what: string) => (done: number, total: number) => line.show(done, total, what);
  const firstSeed = seed * evalSeedStride;
  const onProgress = progressOf('generated');
  const generated = await generateImages(vae, model, { count, firstSeed, numIter, cfg, batch, onProgress });

  const training = { name: `training images of ${values.data}`, ...real };
  const reference = await measureReference(training, extractor, progressOf('measured training images'));
  const settings = { model: model.sha256, vae: vae.sha256, seed, numIter, cfg };
  const report = await measureImages({ name: 'generated', settings, ...generated }, reference, extractor, {
    seed,
    onProgress: progressOf('measured generated images'),
  });
  line.end();
  const agreement = judge && {
    generated: await judgeImages(judge, generated),
    heldOut: heldOut && (await judgeImages(judge, heldOut)),
  };
  console.log(reportText(report));
  if (agreement) console.log(agreementTable(classNamesOf(model), agreement.generated, agreement.heldOut));
  await writeFileAtomic(json, `${JSON.stringify({ ...report, agreement }, null, 2)}\n`);
  console.log(`report: ${json}`);
}

/** The networks, and the real images in the size of those that the model makes unless another is asked for. */
async function openInputs(values: EvalValues) {
  // What is missing is reported before a backend is loaded.
  if (values.features === undefined) findInceptionWeights(values.weights);
  else assertExists('--features', values.features);
  const vaeFile = findVae(values.vae);
  if (values.model === undefined)
    throw new UsageError('--model must name the weights of a model; tb-train model makes them');
  assertExists('--model', values.model);

  await startBackend(values);
  const model = await loadModel(values.model);
  const vae = vaeOfModel(model, await loadVaeFile(vaeFile));
  assertSameVae(model, vae, values.anyVae);
  const judge = values.features ? await loadJudge(values.features, classNamesOf(model), '--features') : undefined;
  const extractor = judge ? smallFeatureExtractor(judge) : await loadInception(values.weights);

  const { imageSize = model.config.latent.height * downsamplingFactor(vae.config) } = values;
  const data = await openData({ ...values, imageSize, flip: false });
  if (judge && data.validation && compareData(data.validation, judge).classes)
    throw new UsageError(
      'the held-out images of --data must have the classes of the model, because --features judges them too',
    );
  return { vae, model, judge, extractor, data };
}

async function loadInception(path: string | undefined): Promise<FeatureExtractor> {
  const { weights, hash } = await loadInceptionWeights({ path });
  return inceptionExtractor(weights, hash);
}

/** The share of images that the judge assigns to their class. That of real images shows how far the judge can be trusted. */
function agreementTable(
  classNames: readonly string[],
  generated: ClassAgreement,
  heldOut: ClassAgreement | undefined,
): string {
  const columns = heldOut ? [generated, heldOut] : [generated];
  const header = ['class as asked', 'generated', ...(heldOut ? ['held-out real'] : [])];
  const rows = classNames.map((name, label) => [name, ...columns.map(({ perClass }) => percent(perClass[label], 1))]);
  return textTable(header, [['all', ...columns.map(({ overall }) => percent(overall, 1))], ...rows]);
}
