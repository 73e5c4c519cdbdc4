import { startBackend } from '@tb/command-line/compute';
import { saveSmallFeatures, smallFeatureShapes, smallFeatureWidths } from '@tb/metrics';
import { flattenShapes } from '@tb/nn';
import type { JoinedProcesses } from '@tb/runtime';
import { createFeaturesTask, createRunLog, describeImages, describeWeights, finishedWeightsOf } from '@tb/trainer';
import { batchesOf, openData, readSome } from '../../data.js';
import { isFirst, reportOf } from '../../group.js';
import { storedOptions } from '../../options/training.js';
import { sameDataCheck } from '../../starting-weights.js';
import { prepareRunFolder, runTraining } from '../../training.js';
import type { FeaturesValues } from './options.js';

/** `tb-train features`. */
export async function trainFeatures(values: FeaturesValues, group?: JoinedProcesses): Promise<void> {
  const { out, threads } = values;
  await prepareRunFolder(values, group);
  const { folder, training, validation } = await openData(values, reportOf(group));
  await startBackend(values, group);

  const { size, classNames } = training;
  const config = { classes: classNames.length, imageSize: size, widths: smallFeatureWidths };
  const stored = storedOptions('features', values);
  const log = createRunLog({
    out,
    title: 'Feature network',
    config: stored,
    terminal: process.stderr,
    processes: group,
  });
  log.found(training.summary);
  const heldOut = validation && isFirst(group) ? await readSome(validation, values.validationImages, threads) : [];
  const openBatches = batchesOf(training, values, log.badImage);
  const task = createFeaturesTask({ config, openBatches, heldOut, size });

  const data = describeImages(training, folder);
  const run = {
    samples: training.length,
    data,
    drawEvery: values.validateEvery, // there is nothing to draw, but the report is written then
    config: stored,
    onResume: sameDataCheck({ imageSize: size, classNames, ...data }, stored, values),
    metadata: describeWeights({ imageSize: size, classNames: [...classNames] }),
    shapes: flattenShapes(smallFeatureShapes(config)),
  };
  await runTraining(task, values, run, {
    log,
    group,
    async finish({ ema }) {
      const path = finishedWeightsOf(out, 'features');
      await saveSmallFeatures(path, { params: ema, config, classNames });
      return [`feature network: ${path}`];
    },
  });
}
