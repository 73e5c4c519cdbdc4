import { generate } from '@tb/tokenbridge';
import type { LoadedModel, LoadedVae } from '@tb/trainer';
import { createDecoder, tensorToImages } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';

// N = images, S = side in pixels

export type LabelledImages = {
  /** RGB bytes [N, S, S, 3]. */
  images: Uint8Array;
  /** The class asked for [N]: each in turn. */
  labels: Int32Array;
  size: number;
};

export type GeneratedOptions = {
  /** Number of the first image (default 0), and how many. */
  first?: number;
  count: number;
  /** Image i has the seed `firstSeed` + i. */
  firstSeed: number;
  numIter: number;
  cfg: number;
  /** Images generated together. */
  batch: number;
  /** Called after every step with the finished images, and a fraction for those in progress. */
  onProgress?: (done: number, total: number) => void;
};

/** Generates images, the classes in turn. Image i depends on its seed alone. All are kept in memory. */
export async function generateImages(
  vae: LoadedVae,
  { params, config }: LoadedModel,
  { first = 0, count, firstSeed, numIter, cfg, batch, onProgress }: GeneratedOptions,
): Promise<LabelledImages> {
  const decodeLatents = createDecoder(vae.config);
  const numbers = Array.from({ length: count }, (_, i) => first + i);
  const images: Uint8Array[] = [];
  let size = 0;
  for (let start = 0; start < count; start += batch) {
    const batchNumbers = numbers.slice(start, start + batch);
    const labels = batchNumbers.map((i) => i % config.classes);
    const seeds = batchNumbers.map((i) => firstSeed + i);
    const onStep = ({ step }: { step: number }) =>
      onProgress?.(start + (batchNumbers.length * (step + 1)) / numIter, count);
    const result = await generate({ params, config, labels, seeds, numIter, cfg, onProgress: onStep });
    const latents = tf.div(result.latents, vae.config.latentScale) as tf.Tensor4D;
    const decoded = decodeLatents(vae.params, latents);
    const batchImages = await tensorToImages(decoded);
    tf.dispose([result.tokens, result.latents, latents, decoded]);
    size = batchImages[0].width;
    images.push(...batchImages.map(({ data }) => data));
  }
  const labels = Int32Array.from(numbers, (i) => i % config.classes);
  return { images: new Uint8Array(Buffer.concat(images)), labels, size };
}

/** Both sets in one; their images have the same size. */
export function joinImages(a: LabelledImages, b: LabelledImages): LabelledImages {
  return {
    images: new Uint8Array(Buffer.concat([a.images, b.images])),
    labels: Int32Array.from([...a.labels, ...b.labels]),
    size: a.size,
  };
}
