import { jit } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { FeatureExtractor } from '../evaluation/feature-extractor.js';
import { applySmallFeatures, type SmallFeatures } from './network.js';
import type { SmallFeatureFile } from './weights-file.js';

// N = images, S = side in pixels

/** A small trained network as a feature extractor. Its distance has another name, because it is not an FID. */
export function smallFeatureExtractor({ params, config, hash }: SmallFeatureFile): FeatureExtractor {
  const forward = jit((weights: SmallFeatures, images: tf.Tensor4D) => ({
    pool: applySmallFeatures(weights, config, images).features,
  }));
  const { imageSize, classes, widths } = config;
  return {
    name: `small features, ${classes} classes at ${imageSize}×${imageSize}`,
    weightsHash: hash,
    distanceName: 'Fréchet distance of small features',
    dimensions: widths[widths.length - 1],
    extract: (images) => forward(params, images),
  };
}

/** Images of one size with the classes that they are meant to be. */
export type LabelledImages = {
  /** RGB bytes [N, side, side, 3]. */
  readonly images: Uint8Array;
  /** The class that each is meant to be [N]. */
  readonly labels: ArrayLike<number>;
};

/** How often a network recognizes images as the class that they are meant to be. */
export type ClassAgreement = {
  readonly images: number;
  /** Share of images that the network gives the class they are meant to be. */
  readonly overall: number;
  /** The same per class, NaN where there are none. */
  readonly perClass: readonly number[];
};

/**
 * Measures how often the network, as a classifier, assigns the intended class: of generated images it judges
 * whether the model follows its labels, of held-out real ones it shows how far to trust the judge.
 *
 * @param batches - images of side S
 * @throws RangeError if a batch does not hold one image of S×S per label
 */
export async function classAgreement(
  { params, config }: Pick<SmallFeatureFile, 'params' | 'config'>,
  batches: Iterable<LabelledImages> | AsyncIterable<LabelledImages>,
  size: number,
): Promise<ClassAgreement> {
  const classify = jit((weights: SmallFeatures, images: tf.Tensor4D) =>
    tf.argMax(applySmallFeatures(weights, config, images).logits, 1),
  );
  const right = new Float64Array(config.classes);
  const seen = new Float64Array(config.classes);
  for await (const { images, labels } of batches) {
    if (images.length !== labels.length * size * size * 3) {
      throw new RangeError(
        `classAgreement: a batch must hold ${labels.length} images of ${size}×${size}, got ${images.length} bytes`,
      );
    }
    const tensor = tf.tensor4d(Float32Array.from(images), [labels.length, size, size, 3]);
    const chosen = classify(params, tensor);
    const classes = await chosen.data();
    tf.dispose([tensor, chosen]);
    for (let i = 0; i < labels.length; i++) {
      seen[labels[i]]++;
      if (classes[i] === labels[i]) right[labels[i]]++;
    }
  }
  const total = (counts: Float64Array) => counts.reduce((a, b) => a + b, 0);
  const perClass = Array.from(right, (count, label) => count / seen[label]);
  return { images: total(seen), overall: total(right) / total(seen), perClass };
}
