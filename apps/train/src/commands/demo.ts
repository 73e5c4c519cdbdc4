import { mkdir } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { writeFileAtomic } from '@tb/io';
import { readRecords, renderReport } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { loadModelFile } from '../data/load-model.js';
import { assertExists, loadVaeFile } from '../data/load-vae.js';
import { type DemoPicture, type DemoWeights, drawGenerated, drawReconstructions, fineTune } from '../demo/steps.js';
import { tableCommand } from '../options/command.js';
import { mergeValues } from '../options/resolve.js';
import { integer, number, text } from '../options/spec.js';
import { engineOptions } from '../options/tables.js';
import { packageFolder } from './package-folder.js';
import { startEngine } from './start-engine.js';

const demoOptions = {
  ...engineOptions,
  weights: text('folder with vae.safetensors and model.safetensors', 'folder'),
  out: text('folder for the pictures and the report', 'folder'),
  steps: integer('training steps to show', { min: 1 }),
  seed: integer('seed of the generated pictures'),
  numIter: integer('steps in which a picture is generated', { min: 1 }),
  cfg: number('guidance scale', { min: 1 }),
};

const demoDefaults = { backend: 'auto', out: 'runs/demo', steps: 24, seed: 1, numIter: 16, cfg: 3 } as const;

export const demoCommand = tableCommand('demo', demoOptions, demoDefaults, async (flags) => {
  const values = mergeValues<typeof demoOptions>(demoDefaults, flags);
  const out = resolve(values.out!);
  await mkdir(out, { recursive: true });
  const folder = values.weights ?? packageFolder('demo');
  for (const file of ['vae.safetensors', 'model.safetensors']) assertExists('demo weights', `${folder}/${file}`);
  await startEngine(values);
  const weights: DemoWeights = {
    vae: await loadVaeFile(`${folder}/vae.safetensors`),
    model: await loadModelFile(`${folder}/model.safetensors`),
    photographs: packageFolder('demo/photos'),
  };

  const pictures: DemoPicture[] = [];
  const show = async (file: string, picture: DemoPicture) => {
    await writeFileAtomic(`${out}/${file}`, picture.png);
    pictures.push(picture);
    console.error(`  ${relative('.', `${out}/${file}`)}`);
  };
  console.error('\n1. Photographs through the autoencoder, as they are and with 64 and 8 levels a channel');
  await show('reconstructions.png', await drawReconstructions(weights));
  console.error(`\n2. One new picture of each of the ${weights.model.classNames.length} classes`);
  await show('generated.png', await drawGenerated(weights, values.seed!, values.numIter!, values.cfg!));
  console.error(`\n3. ${values.steps} steps of training on crops of the photographs`);
  await fineTune(weights, `${out}/training`, values.steps!);

  const report = `${out}/report.html`;
  const records = readRecords(`${out}/training/log.jsonl`);
  const html = renderReport({ title: 'TokenBridge demo', config: values, records, pictures });
  await writeFileAtomic(report, html);
  tf.dispose([weights.vae.params, weights.model.params] as unknown as tf.TensorContainer);
  console.error(`\nPictures: ${relative('.', out)}\nReport:   ${relative('.', report)}`);
})
  .description('Reconstruct, generate and train a little with the weights that come along; minutes on a CPU')
  .addHelpText('after', '\nExample:\n  tb-train demo --backend wasm');
