import { join } from 'node:path';
import { startEngine } from '@tb/command-line/compute';
import { saveSmallFeatures, smallFeatureShapes, smallFeatureWidths } from '@tb/metrics';
import { flattenShapes } from '@tb/nn';
import { createFeaturesTask, createRunLog, describeWeights } from '@tb/trainer';
import { batchesOf, openData, readSome } from '../data/open-data.js';
import { assertPicturesFit } from '../options/conflicts.js';
import { featuresDefaults } from '../options/defaults.js';
import { type FeaturesValues, featuresOptions } from '../options/tables.js';
import { prepareRunFolder, resolveRun, storedConfig } from './run-folder.js';
import { trainOptionsOf } from './run-options.js';
import { runTraining } from './run-training.js';

/** `tb-train features` with the flags that were given. */
export async function trainFeatures(flags: FeaturesValues): Promise<void> {
  const { values, given } = await resolveRun('features', featuresOptions, flags, () => featuresDefaults);
  assertPicturesFit(values, given);
  const { out, threads } = values;
  await prepareRunFolder(out, values.resume);
  const data = await openData(values);
  const engine = await startEngine(values);
  const size = data.training.size;
  const classNames = data.training.classNames;
  const config = { classes: classNames.length, imageSize: size, widths: smallFeatureWidths };
  const log = createRunLog({ out, title: 'Feature network', config: values, terminal: process.stderr });
  const heldOut = data.validation ? await readSome(data.validation, values.validationImages, threads) : [];
  const openBatches = batchesOf(data.training, values, log.badImage);
  const task = createFeaturesTask({ config, openBatches, heldOut, size });
  const metadata = describeWeights({ imageSize: size, classNames: [...classNames] });
  const shapes = flattenShapes(smallFeatureShapes(config));
  const options = {
    ...trainOptionsOf(values, data.training.length, engine.name, storedConfig('features', values)),
    drawEvery: values.validateEvery, // there is nothing to draw: the report alone is written anew
    metadata,
    shapes,
  };
  await runTraining(task, options, log, async ({ ema }) => {
    const path = join(out, 'features.safetensors');
    await saveSmallFeatures(path, { params: ema, config, classNames });
    return [`feature network: ${path}`];
  });
}
