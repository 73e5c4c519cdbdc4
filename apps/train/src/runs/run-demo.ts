import { relative, resolve } from 'node:path';
import { assertExists, prepareFolder } from '@tb/command-line';
import { startEngine } from '@tb/command-line/compute';
import { writeFileAtomic } from '@tb/io';
import { classNamesOf, loadModel, loadVaeFile, type ReportPicture, renderReport } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import type { DemoValues } from '../options/tables.js';
import { judgeGenerated } from './demo-judge.js';
import { type DemoWeights, drawGenerated, drawReconstructions, fineTune, generatePictures } from './demo-steps.js';
import { packageFolder } from './package-folder.js';

/** `tb-train demo`. */
export async function runDemo(values: DemoValues): Promise<void> {
  const out = resolve(values.out!);
  await prepareFolder('--out', out);
  const folder = values.weights ?? packageFolder('demo');
  for (const file of ['vae.safetensors', 'model.safetensors']) assertExists('demo weights', `${folder}/${file}`);
  await startEngine(values);
  const weights: DemoWeights = {
    vae: await loadVaeFile(`${folder}/vae.safetensors`),
    model: await loadModel(`${folder}/model.safetensors`),
    photographs: packageFolder('demo/photos'),
  };

  const pictures: ReportPicture[] = [];
  const show = async (file: string, picture: ReportPicture) => {
    await writeFileAtomic(`${out}/${file}`, picture.png);
    pictures.push(picture);
    console.error(`  ${relative('.', `${out}/${file}`)}`);
  };
  console.error('\n1. Photographs through the autoencoder, as they are and with 64 and 8 levels a channel');
  await show('reconstructions.png', await drawReconstructions(weights));
  const classNames = classNamesOf(weights.model);
  console.error(`\n2. One new picture of each of the ${classNames.length} classes`);
  const generated = await generatePictures(weights, values, 0, classNames.length);
  await show('generated.png', await drawGenerated(generated, classNames));
  console.error('\n3. What a judge that has learned the classes says of them');
  const table = await judgeGenerated(weights, values, `${folder}/features.safetensors`, generated);
  console.error(`\n4. ${values.steps} steps of training on crops of the photographs`);
  const records = await fineTune(weights, values.steps!);

  const report = `${out}/report.html`;
  const tables = table ? [table] : [];
  await writeFileAtomic(report, renderReport({ title: 'TokenBridge demo', config: values, records, pictures, tables }));
  tf.dispose([weights.vae.params, weights.model.params] as unknown as tf.TensorContainer);
  console.error(`\nPictures: ${relative('.', out)}\nReport:   ${relative('.', report)}`);
}
