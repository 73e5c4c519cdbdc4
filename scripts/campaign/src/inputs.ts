// What the attacked programs work on: a few small images, and weights of networks as small as they can be.
import { join } from 'node:path';
import { initSmallFeatures, saveSmallFeatures } from '@tb/metrics';
import { disposeTree, randomKey, useBackend } from '@tb/runtime';
import { writeTinyWeights } from '../../../apps/sample/test/tiny-weights.js';
import { makeImages } from '../../../apps/train/test/make-images.js';

/** Paths of the inputs. */
export type Inputs = { images: string; model: string; vae: string; features: string };

/** Images of two classes, an autoencoder for 16 × 16 pixels, a model of three classes, and a network for evaluations. */
export async function makeInputs(folder: string): Promise<Inputs> {
  await useBackend('cpu');
  const images = join(folder, 'images');
  await makeImages(images, 8);
  const { model, vae } = await writeTinyWeights(join(folder, 'weights'));
  const features = join(folder, 'features.safetensors');
  const config = { classes: 2, imageSize: 32, widths: [8, 8] };
  const key = randomKey(2);
  const params = initSmallFeatures(key, config);
  await saveSmallFeatures(features, { params, config, classNames: ['discs', 'stripes'] });
  disposeTree([key, params]);
  return { images, model, vae, features };
}
