import { join } from 'node:path';
import { startEngine } from '@tb/command-line/compute';
import { flattenShapes } from '@tb/nn';
import {
  calibrateVae,
  createAutoencoder,
  createRunLog,
  createVaeTask,
  describeWeights,
  measureLatents,
  saveVae,
} from '@tb/trainer';
import { loadVae, type Vae, vaePresets, vaeShapes } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { findInitialWeights } from '../data/initial-weights.js';
import { latentSize } from '../data/latent-size.js';
import { batchesOf, openData, readSome } from '../data/open-data.js';
import { vaeDefaults } from '../options/defaults.js';
import { type VaeValues, vaeOptions } from '../options/tables.js';
import { prepareRunFolder, resolveRun, storedConfig } from './run-folder.js';
import { trainOptionsOf } from './run-options.js';
import { runTraining } from './run-training.js';

/** Pictures that the scale of the latents is measured on. */
const calibrationImages = 256;

/** `tb-train vae` with the flags that were given. */
export async function trainVae(flags: VaeValues): Promise<void> {
  const values = await resolveRun('vae', vaeOptions, flags, () => vaeDefaults);
  const out = values.out!;
  await prepareRunFolder(out, values.resume ?? false);
  const initial = values.resume ? undefined : await findInitialWeights(values.initial, 'vae');
  const data = await openData(values);
  const config = vaePresets[values.preset ?? 'demo'];
  const size = data.training.size;
  latentSize(size, config); // a size that does not fit is told before the engine starts
  const engine = await startEngine(values);
  const log = createRunLog({ out, title: 'Autoencoder', config: values, terminal: process.stderr });
  const { threads = 1, validationImages = 256 } = values;
  const heldOut = data.validation ? await readSome(data.validation, validationImages, threads) : [];
  const task = createVaeTask({
    config,
    weights: {
      absolute: values.absoluteWeight ?? 1,
      squared: values.squaredWeight ?? 1,
      gradient: values.gradientWeight ?? 0,
      kl: values.klWeight ?? 0,
    },
    openBatches: batchesOf(data.training, values, log.badImage),
    heldOut,
    size,
    initial: initial === undefined ? undefined : () => loadVae(initial, config),
  });
  const metadata = describeWeights({ imageSize: size, classNames: [...data.training.classNames] });
  const shapes = flattenShapes(vaeShapes(config));
  const options = {
    ...trainOptionsOf(values, data.training.length, engine.name, storedConfig('vae', values)),
    metadata,
    shapes,
  };
  await runTraining(task, options, log, async ({ ema }) => {
    const some = await readSome(data.training, calibrationImages, threads);
    const params = ema as Vae;
    const statistics = await measureLatents(params, config, some, createAutoencoder(config, size));
    const calibrated = calibrateVae(params, config, statistics);
    const path = join(out, 'vae.safetensors');
    await saveVae(path, calibrated, config, { dtype: values.half ? 'F16' : 'F32', metadata });
    tf.dispose([calibrated.quant_conv, calibrated.post_quant_conv] as unknown as tf.TensorContainer);
    return [`autoencoder: ${path}`];
  });
}
