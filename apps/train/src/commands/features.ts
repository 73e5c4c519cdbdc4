import { join } from 'node:path';
import { type SmallFeatures, saveSmallFeatures, smallFeatureWidths } from '@tb/metrics';
import { createFeaturesTask, createRunLog } from '@tb/trainer';
import { batchesOf, openData, readSome } from '../data/open-data.js';
import { tableCommand } from '../options/command.js';
import { featuresDefaults } from '../options/defaults.js';
import { type FeaturesValues, featuresOptions } from '../options/tables.js';
import { prepareFolder, resolveRun } from './run-folder.js';
import { trainOptionsOf } from './run-options.js';
import { runTraining } from './run-training.js';
import { startEngine } from './start-engine.js';

export const featuresCommand = tableCommand('features', featuresOptions, featuresDefaults, async (flags) => {
  await trainFeatures(await resolveRun('features', featuresOptions, flags, () => featuresDefaults));
})
  .description('Train a small classifier whose features measure pictures where Inception-v3 is out of reach')
  .addHelpText(
    'after',
    `
Example:
  tb-train features --data photos --crops --image-size 64 --out runs/features

The run folder gets features.safetensors, the yardstick of tb-train eval. Distances on these features are no FID: they compare
models on the same data with the same file, and nothing else.`,
  );

async function trainFeatures(values: FeaturesValues): Promise<void> {
  const out = values.out!;
  await prepareFolder(out, values.resume ?? false);
  const data = await openData(values);
  const engine = await startEngine(values);
  const size = data.training.size;
  const classNames = data.training.classNames;
  const config = { classes: classNames.length, imageSize: size, widths: smallFeatureWidths };
  const log = createRunLog({ out, title: 'Feature network', config: values, terminal: process.stderr });
  const { threads = 1, validationImages = 256 } = values;
  const heldOut = data.validation ? await readSome(data.validation, validationImages, threads) : [];
  const openBatches = batchesOf(data.training, values, log.badImage);
  const task = createFeaturesTask({ config, openBatches, heldOut, size });
  const options = trainOptionsOf(values, data.training.length, engine.name, values);
  await runTraining(task, options, log, async ({ ema }) => {
    const path = join(out, 'features.safetensors');
    await saveSmallFeatures(path, { params: ema as unknown as SmallFeatures, config, classNames });
    return [`feature network: ${path}`];
  });
}
