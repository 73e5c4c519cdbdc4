import { join } from 'node:path';
import { startEngine } from '@tb/command-line/compute';
import { flattenShapes } from '@tb/nn';
import { disposeTree } from '@tb/runtime';
import {
  calibrateVae,
  createRunLog,
  createVaeTask,
  describeWeights,
  type ImageSource,
  measureLatents,
} from '@tb/trainer';
import { createAutoencoder, loadVae, saveVae, type Vae, type VaeConfig, vaePresets, vaeShapes } from '@tb/vae';
import { findInitialWeights } from '../data/initial-weights.js';
import { latentSize } from '../data/latent-size.js';
import { batchesOf, openData, readSome } from '../data/open-data.js';
import { assertOneStart, assertPicturesFit } from '../options/conflicts.js';
import { vaeDefaults } from '../options/defaults.js';
import { type VaeValues, vaeOptions } from '../options/tables.js';
import { prepareRunFolder, resolveRun, storedConfig } from './run-folder.js';
import { trainOptionsOf } from './run-options.js';
import { runTraining } from './run-training.js';

/** Pictures that the scale of the latents is measured on. */
const calibrationImages = 256;

/** Pictures in the report. */
const shownImages = 8;

/** `tb-train vae` with the flags that were given. */
export async function trainVae(flags: VaeValues): Promise<void> {
  const { values, given } = await resolveRun('vae', vaeOptions, flags, () => vaeDefaults);
  assertPicturesFit(values, given);
  assertOneStart(given);
  const { out, threads } = values;
  await prepareRunFolder(out, values.resume);
  const initial = values.resume ? undefined : await findInitialWeights(values.initial, 'vae');
  const data = await openData(values);
  const config = vaePresets[values.preset];
  const { size, classNames } = data.training;
  latentSize(size, config); // a size that does not fit is told before the engine starts
  const engine = await startEngine(values);
  const log = createRunLog({ out, title: 'Autoencoder', config: values, terminal: process.stderr });
  const heldOut = data.validation ? await readSome(data.validation, values.validationImages, threads) : [];
  const [shown] = heldOut.length > 0 ? heldOut : await readSome(data.training, shownImages, threads);
  const task = createVaeTask({
    config,
    weights: {
      absolute: values.absoluteWeight,
      squared: values.squaredWeight,
      gradient: values.gradientWeight,
      kl: values.klWeight,
    },
    openBatches: batchesOf(data.training, values, log.badImage),
    heldOut,
    shown,
    size,
    initial: initial === undefined ? undefined : () => loadVae(initial, config),
  });
  const metadata = describeWeights({ imageSize: size, classNames: [...classNames] });
  const options = {
    ...trainOptionsOf(values, data.training.length, engine.name, storedConfig('vae', values)),
    metadata,
    shapes: flattenShapes(vaeShapes(config)),
  };
  await runTraining(task, options, log, async ({ ema }) => {
    const calibrated = await calibrate(ema, config, data.training, threads);
    const path = join(out, 'vae.safetensors');
    await saveVae(path, calibrated, config, { dtype: values.half ? 'F16' : 'F32', metadata });
    disposeTree([calibrated.quant_conv, calibrated.post_quant_conv]);
    return [`autoencoder: ${path}`];
  });
}

/** Shares all but the two convolutions around the latent with `params`. */
async function calibrate(params: Vae, config: VaeConfig, source: ImageSource, threads: number): Promise<Vae> {
  const some = await readSome(source, calibrationImages, threads);
  const statistics = await measureLatents(params, config, some, createAutoencoder(config, source.size));
  return calibrateVae(params, config, statistics);
}
