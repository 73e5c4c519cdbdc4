import { startBackend } from '@tb/command-line/compute';
import { flattenShapes } from '@tb/nn';
import { disposeTree, type JoinedProcesses } from '@tb/runtime';
import {
  calibrateVae,
  createRunLog,
  createVaeTask,
  describeImages,
  describeWeights,
  finishedWeightsOf,
  type ImageSource,
  measureLatents,
} from '@tb/trainer';
import { createAutoencoder, loadVae, saveVae, type Vae, type VaeConfig, vaePresets, vaeShapes } from '@tb/vae';
import { batchesOf, latentSize, openData, readSome } from '../../data.js';
import { isFirst, reportOf } from '../../group.js';
import { storedOptions } from '../../options/training.js';
import { findInitialWeights, sameDataCheck } from '../../starting-weights.js';
import { prepareRunFolder, runTraining } from '../../training.js';
import type { VaeValues } from './options.js';

/** Images that the scale of the latents is measured on. */
const calibrationImages = 256;

/** Images in the report. */
const shownImages = 8;

/** `tb-train vae`. */
export async function trainVae(values: VaeValues, group?: JoinedProcesses): Promise<void> {
  const { out, threads } = values;
  await prepareRunFolder(values, group);
  const initial = await findInitialWeights(values, 'vae');
  const { folder, training, validation } = await openData(values, reportOf(group));
  const { size, classNames } = training;
  const config = vaePresets[values.preset];
  latentSize(size, config); // refuses a size that does not fit before a backend is loaded
  await startBackend(values, group);

  const stored = storedOptions('vae', values);
  const log = createRunLog({ out, title: 'Autoencoder', config: stored, terminal: process.stderr, processes: group });
  log.found(training.summary);
  const heldOut = validation && isFirst(group) ? await readSome(validation, values.validationImages, threads) : [];
  const [shown] = heldOut.length > 0 ? heldOut : await readSome(training, shownImages, threads);
  const { absoluteWeight: absolute, squaredWeight: squared, gradientWeight: gradient, klWeight: kl } = values;
  const task = createVaeTask({
    config,
    weights: { absolute, squared, gradient, kl },
    openBatches: batchesOf(training, values, log.badImage),
    heldOut,
    shown,
    size,
    initial: initial === undefined ? undefined : () => loadVae(initial, config),
  });

  const metadata = describeWeights({ imageSize: size, classNames: [...classNames] });
  const shapes = flattenShapes(vaeShapes(config));
  const data = describeImages(training, folder);
  // An autoencoder does not look at labels: other classes are other images, no more.
  const onResume = sameDataCheck({ imageSize: size, ...data }, stored, {});
  const { drawEvery } = values;
  const run = { samples: training.length, data, drawEvery, config: stored, metadata, shapes, onResume };
  await runTraining(task, values, run, {
    log,
    group,
    async finish({ ema }) {
      const calibrated = await calibrate(ema, config, training, threads);
      const path = finishedWeightsOf(out, 'vae');
      await saveVae(path, calibrated, config, { dtype: values.half ? 'F16' : 'F32', metadata });
      disposeTree([calibrated.quant_conv, calibrated.post_quant_conv]);
      return [`autoencoder: ${path}`];
    },
  });
}

/** Shares all tensors with `params`, except those of the two convolutions around the latents. */
async function calibrate(params: Vae, config: VaeConfig, source: ImageSource, threads: number): Promise<Vae> {
  const images = await readSome(source, calibrationImages, threads);
  const statistics = await measureLatents(params, config, images, createAutoencoder(config, source.size));
  return calibrateVae(params, config, statistics);
}
