import { jit } from '@tb/runtime';
import type * as tf from '@tensorflow/tfjs-core';
import { inceptionFeatures } from '../inception/network.js';
import { type InceptionPreprocessing, prepareForInception } from '../inception/preprocess.js';
import type { InceptionWeights } from '../inception/weights.js';
import { INCEPTION_SHA256 } from '../inception/weights-file.js';

/** A network whose features serve to measure distances. N = images, D = dimensions, K = classes. */
export type FeatureExtractor = {
  /** Which network, which preprocessing: two numbers compare only if this text is the same. */
  readonly name: string;
  /** SHA-256 of the weights' file. */
  readonly weightsHash: string;
  /** What the Fréchet distance on these features is called: "FID" for Inception-v3 as published and nothing else. */
  readonly distanceName: string;
  readonly dimensions: number;
  readonly spatialDimensions?: number;
  readonly classes?: number;
  /** @param images - [N, H, W, 3], values 0 to 255 */
  extract(images: tf.Tensor4D): ExtractedFeatures;
};

/** The features of a batch of images. */
export type ExtractedFeatures = {
  /** [N, D] */
  pool: tf.Tensor2D;
  /** [N, 2023] for sFID */
  spatial?: tf.Tensor2D;
  /** [N, K] for the Inception Score */
  logits?: tf.Tensor2D;
};

/**
 * Makes a feature extractor of Inception-v3.
 *
 * @param weightsHash - SHA-256 of the weights' file; the distance is called FID only if they are the published ones
 */
export function inceptionExtractor(
  weights: InceptionWeights,
  weightsHash: string,
  preprocessing: InceptionPreprocessing = 'tensorflow',
): FeatureExtractor {
  const inceptionV3 = (parameters: InceptionWeights, images: tf.Tensor4D): ExtractedFeatures => {
    const features = inceptionFeatures(parameters, prepareForInception(images, preprocessing));
    return { pool: features['2048'], spatial: features.spatial, logits: features.logitsUnbiased };
  };
  const forward = jit(inceptionV3);
  return {
    name: `Inception-v3 (TensorFlow 2015-12-05), ${preprocessing} resize and normalization`,
    weightsHash,
    distanceName: weightsHash === INCEPTION_SHA256 ? 'FID' : 'Fréchet distance with other weights',
    dimensions: 2048,
    spatialDimensions: 2023,
    classes: 1008,
    extract: (images) => forward(weights, images),
  };
}
