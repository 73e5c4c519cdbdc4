import type { Tree } from '@tb/runtime';
import { encode, imagesToTensor, type Posterior, posteriorOf, type Vae, type VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import type { ImageBatch } from '../data/image-batches.js';
import type { LatentBatch } from '../data/latent-batches.js';

// N = images, h, w, C = height, width and channels of a latent

/** Where the model's latents come from: pictures through the autoencoder, or a cache of what it said about them. */
export type LatentInput<Batch> = {
  /** What `posterior` reads and training does not change. */
  frozen: Tree<tf.Tensor>;
  toTensors(batch: Batch): Record<string, tf.Tensor>;
  /** Pure; runs inside the training step. */
  posterior(frozen: Tree<tf.Tensor>, tensors: Record<string, tf.Tensor>): Posterior;
};

/** Encodes pictures inside the training step. Takes over `vae`. */
export function encodedImages(vae: Vae, config: VaeConfig, size: number): LatentInput<ImageBatch> {
  return {
    frozen: vae as unknown as Tree<tf.Tensor>,
    toTensors: ({ images, labels }) => ({ images: imagesToTensor(images, labels.length, size) }),
    posterior: (frozen, { images }) => encode(frozen as unknown as Vae, config, images as tf.Tensor4D),
  };
}

/** Reads the moments that `tb-train cache` stored. */
export function cachedMoments(
  shape: readonly [height: number, width: number, channels: number],
): LatentInput<LatentBatch> {
  const [height, width, channels] = shape;
  return {
    frozen: {},
    toTensors: ({ moments, labels }) => ({
      moments: tf.tensor4d(moments, [labels.length, height, width, 2 * channels]),
    }),
    posterior: (_, { moments }) => posteriorOf(moments as tf.Tensor4D),
  };
}
