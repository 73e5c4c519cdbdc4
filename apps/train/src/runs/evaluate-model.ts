import { createHash } from 'node:crypto';
import { assertExists, UsageError } from '@tb/command-line';
import { loadVaeFile, startEngine } from '@tb/command-line/compute';
import { writeFileAtomic } from '@tb/io';
import {
  type ClassAgreement,
  classAgreement,
  collect,
  createCollection,
  evaluate,
  type FeatureExtractor,
  inceptionExtractor,
  loadInceptionWeights,
  loadSmallFeatures,
  referenceFromCollection,
  reportText,
  type SampleSource,
  type SmallFeatureFile,
  samplesInMemory,
  smallFeatureExtractor,
} from '@tb/metrics';
import { hostRandom } from '@tb/runtime';
import type { EvalValues } from '../commands/eval.js';
import { loadModelFile } from '../data/load-model.js';
import { openData } from '../data/open-data.js';
import { generateImages, type LabelledPictures } from '../evaluation/generated-images.js';
import { readImages } from '../evaluation/real-images.js';

/** `tb-train eval`. */
export async function evaluateModel(values: EvalValues): Promise<void> {
  const { samples: count = 500, threads = 1, seed = 0, numIter = 64, cfg = 1, batch = 20 } = values;
  const data = await openData({ ...values, flip: false });
  if (values.features !== undefined) assertExists('--features', values.features);
  await startEngine(values);
  const judge = values.features === undefined ? undefined : await loadSmallFeatures(values.features);
  const extractor = judge ? smallFeatureExtractor(judge) : await loadInception(values.weights);
  const vae = await loadVaeFile(values.vae);
  const model = await loadModelFile(values.model);
  if (judge) assertSameClasses(judge.classNames, model.classNames);
  const real = await readImages(data.training, count, threads);
  const held = data.validation && (await readImages(data.validation, count, threads));
  const generated = await generateImages(vae, model, { count, seed, numIter, cfg, batch, onProgress: showProgress });

  const settings = { model: model.sha256, vae: vae.sha256, seed, numIter, cfg };
  const source = { ...sourceOf('generated', generated), settings };
  const reference = await collectAll(sourceOf(`training pictures of ${values.data}`, real), extractor);
  const collected = await collectAll(source, extractor);
  const truth = referenceFromCollection(reference.collection, reference.source.name, reference.source.fingerprint);
  const report = evaluate(source, collected.collection, truth, extractor, 'tb-train eval', {
    random: hostRandom(seed).uniform,
  });
  const agreement = judge && {
    generated: await judged(judge, generated),
    heldOut: held && (await judged(judge, held)),
  };
  console.log(reportText(report));
  if (agreement) console.log(agreementText(judge.classNames, agreement.generated, agreement.heldOut));
  if (values.json === undefined) return;
  await writeFileAtomic(values.json, `${JSON.stringify({ ...report, agreement }, null, 2)}\n`);
  console.log(`report: ${values.json}`);
}

async function loadInception(path: string | undefined): Promise<FeatureExtractor> {
  const { weights, hash } = await loadInceptionWeights({ path });
  return inceptionExtractor(weights, hash);
}

function assertSameClasses(judge: readonly string[], model: readonly string[]): void {
  if (judge.join() === model.join()) return;
  throw new UsageError(
    `--features must know the classes of the model (${model.join(', ')}), got ${judge.join(', ')}: train them on its data`,
  );
}

function sourceOf(name: string, { images, labels, size }: LabelledPictures): SampleSource {
  const fingerprint = createHash('sha256').update(images).digest('hex');
  return { ...samplesInMemory(name, { pixels: images, count: labels.length, height: size, width: size }), fingerprint };
}

async function collectAll(source: SampleSource, extractor: FeatureExtractor) {
  return { source, collection: await collect(source, extractor, createCollection(extractor, source.count)) };
}

const judgeBatch = 32;

async function judged(judge: SmallFeatureFile, { images, labels, size }: LabelledPictures): Promise<ClassAgreement> {
  const length = size * size * 3;
  const batches = Array.from({ length: Math.ceil(labels.length / judgeBatch) }, (_, i) => {
    const [first, last] = [i * judgeBatch, Math.min((i + 1) * judgeBatch, labels.length)];
    return { images: images.subarray(first * length, last * length), labels: labels.subarray(first, last) };
  });
  return classAgreement(judge, batches, size);
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
    ...names.map((name, index) => row(name, index)),
  ].join('\n');
}

function showProgress(done: number, total: number): void {
  process.stderr.write(`\rgenerated ${done}/${total} pictures${done === total ? '\n' : ''}`);
}
