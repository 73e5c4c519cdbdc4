import type { LoadedVae } from '@tb/command-line/compute';
import { generate } from '@tb/tokenbridge';
import { createDecoder, tensorToImages } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import type { LoadedModel } from '../data/load-model.js';

// N = images, S = side in pixels

export type LabelledPictures = {
  /** RGB bytes [N, S, S, 3]. */
  images: Uint8Array;
  /** The class asked for [N]: each in turn. */
  labels: Int32Array;
  size: number;
};

export type GeneratedOptions = {
  count: number;
  seed: number;
  numIter: number;
  cfg: number;
  /** Pictures generated together. */
  batch: number;
  onProgress?: (done: number, total: number) => void;
};

/** Pictures of a model, the classes in turn. Picture i depends on `seed` and i alone. All are kept in memory. */
export async function generateImages(
  vae: LoadedVae,
  { params, config }: LoadedModel,
  { count, seed, numIter, cfg, batch, onProgress }: GeneratedOptions,
): Promise<LabelledPictures> {
  const decodeLatents = createDecoder(vae.config);
  const labels = Int32Array.from({ length: count }, (_, i) => i % config.classes);
  let images = new Uint8Array(0);
  let size = 0;
  for (let first = 0; first < count; first += batch) {
    const some = Array.from(labels.subarray(first, first + batch));
    const seeds = some.map((_, i) => seed * 1_000_003 + first + i);
    const result = await generate({ params, config, labels: some, seeds, numIter, cfg });
    const latents = tf.div(result.latents, vae.config.latentScale) as tf.Tensor4D;
    const decoded = decodeLatents(vae.params, latents);
    const pictures = await tensorToImages(decoded);
    tf.dispose([result.tokens, result.latents, latents, decoded]);
    size = pictures[0].width;
    if (first === 0) images = new Uint8Array(count * size * size * 3);
    for (const [i, { data }] of pictures.entries()) images.set(data, (first + i) * data.length);
    onProgress?.(Math.min(first + batch, count), count);
  }
  return { images, labels, size };
}
