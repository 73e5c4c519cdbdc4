import { relative, resolve } from 'node:path';
import { assertExists, prepareFolder } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { writeFileAtomic } from '@tb/io';
import { disposeTree } from '@tb/runtime';
import { classNamesOf, loadModel, loadVaeFile, type ReportImage, renderReport } from '@tb/trainer';
import { packageFolder } from '../../package.js';
import { judgeGenerated } from './judge.js';
import { learnClass } from './learn-class.js';
import type { DemoValues } from './options.js';
import { type DemoWeights, drawGenerated, drawReconstructions, generateNumbered } from './steps.js';

/** `tb-train demo`. */
export async function runDemo(values: DemoValues): Promise<void> {
  const out = resolve(values.out);
  await prepareFolder('--out', out);
  const folder = values.weights ?? packageFolder('demo');
  for (const file of ['vae.safetensors', 'model.safetensors']) assertExists('demo weights', `${folder}/${file}`);
  await startBackend(values);
  const weights: DemoWeights = {
    vae: await loadVaeFile(`${folder}/vae.safetensors`),
    model: await loadModel(`${folder}/model.safetensors`),
    photographs: packageFolder('demo/photos'),
  };

  const images: ReportImage[] = [];
  const save = async (file: string, image: ReportImage) => {
    await writeFileAtomic(`${out}/${file}`, image.png);
    images.push(image);
    console.error(`  ${relative('.', `${out}/${file}`)}`);
  };
  console.error('\n1. Photographs through the autoencoder: as it is, and with 64 and 8 quantization levels');
  await save('reconstructions.png', await drawReconstructions(weights));

  const classNames = classNamesOf(weights.model);
  console.error(`\n2. One generated image of each of the ${classNames.length} classes`);
  const generated = await generateNumbered(weights, values, 0, classNames.length);
  await save('generated.png', await drawGenerated(generated, classNames));

  console.error('\n3. The generated images measured against real ones, by a small classifier of the photographs');
  const table = await judgeGenerated(weights, values, `${folder}/features.safetensors`, generated);

  console.error(
    `\n4. Training: the model learns a class from a photograph that it has not seen, updates: ${values.steps}`,
  );
  const { name, image, heldOutLoss, records } = await learnClass(weights, values);
  await save('new-class.png', image);
  const [before, after] = [heldOutLoss.before.toFixed(3), heldOutLoss.after.toFixed(3)];
  const learned = `Loss on a held-out part of the photograph "${name}": ${before} before, ${after} after ${values.steps} updates.`;
  console.error(`  ${learned}`);

  const report = `${out}/report.html`;
  const notes = [
    'Made from the weights that are bundled with tb-train: an autoencoder, a TokenBridge model of ten classes (one per photograph), and a small classifier that judges the images.',
    learned,
  ];
  const tables = table ? [table] : [];
  const input = { title: 'TokenBridge demo', notes, config: values, records, images, tables };
  await writeFileAtomic(report, renderReport({ ...input, order: 'images first' }));
  disposeTree([weights.vae.params, weights.model.params]);
  console.error(`\nImages: ${relative('.', out)}\nReport: ${relative('.', report)}`);
}
