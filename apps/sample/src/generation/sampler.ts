import type { Pixels } from '@tb/images';
import { generate, storeForSampling } from '@tb/tokenbridge';
import type { LoadedModel, LoadedVae } from '@tb/trainer';
import { createDecoder, tensorToImages } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import type { Job } from './jobs.js';
import type { Settings } from './settings.js';

export type SampleProgress = { step: number; numIter: number };

/**
 * Makes the pictures of a batch.
 *
 * @param size - the batch is filled up to it where programs are compiled, so that one program serves all batches
 */
export type Sampler = (
  jobs: readonly Job[],
  size: number,
  signal: AbortSignal,
  onProgress: (progress: SampleProgress) => void,
) => Promise<Pixels[]>;

/** Model, autoencoder and settings as one function from jobs to pictures. */
export function createSampler(
  { params, config }: LoadedModel,
  vae: LoadedVae,
  { cfg, cfgSchedule, temperature, numIter, order }: Settings,
  precision: 'bf16' | 'fp32',
): Sampler {
  const decodeLatents = createDecoder(vae.config);
  const weights = precision === 'bf16' ? storeForSampling(params) : params; // once for all batches
  const isCompiled = tf.getBackend() === 'xla';
  const decode = async (latents: tf.Tensor4D): Promise<Pixels[]> => {
    const scaled = tf.div(latents, vae.config.latentScale) as tf.Tensor4D;
    const images = decodeLatents(vae.params, scaled);
    const pictures = await tensorToImages(images);
    tf.dispose([scaled, images]);
    return pictures;
  };
  return async (jobs, size, signal, onProgress) => {
    const filled = Array.from({ length: isCompiled ? size : jobs.length }, (_, place) => jobs[place % jobs.length]);
    const { tokens, latents } = await generate({
      params: weights,
      config,
      labels: filled.map(({ label }) => label),
      seeds: filled.map(({ seed }) => seed),
      numIter,
      cfg,
      cfgSchedule,
      temperature,
      order,
      precision,
      signal,
      onProgress,
    });
    try {
      return isCompiled ? (await decode(latents)).slice(0, jobs.length) : await oneByOne(latents, decode);
    } finally {
      tf.dispose([tokens, latents]);
    }
  };
}

/** Where products are not compiled, those of one image and of several round differently: so no picture depends on its batch. */
async function oneByOne(latents: tf.Tensor4D, decode: (latents: tf.Tensor4D) => Promise<Pixels[]>): Promise<Pixels[]> {
  const pictures: Pixels[] = [];
  for (const each of tf.split<tf.Tensor4D>(latents, latents.shape[0])) {
    pictures.push(...(await decode(each)));
    each.dispose();
  }
  return pictures;
}
