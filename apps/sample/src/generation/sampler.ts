import { generate, storeForSampling } from '@tb/tokenbridge';
import { createDecoder, type Pixels, tensorToImages } from '@tb/trainer';
import type { Vae, VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import type { LoadedModel } from '../weights/load-model.js';
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
  vae: { params: Vae; config: VaeConfig },
  { cfg, cfgSchedule, temperature, numIter, order }: Settings,
  precision: 'bf16' | 'fp32',
): Sampler {
  const decode = createDecoder(vae.config);
  const weights = precision === 'bf16' ? storeForSampling(params) : params; // once for all batches
  return async (jobs, size, signal, onProgress) => {
    const isCompiled = tf.getBackend() === 'xla';
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
    const scaled = tf.div(latents, vae.config.latentScale) as tf.Tensor4D;
    const images = decode(vae.params, scaled);
    try {
      return (await tensorToImages(images)).slice(0, jobs.length);
    } finally {
      tf.dispose([tokens, latents, scaled, images]);
    }
  };
}
