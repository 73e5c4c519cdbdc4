import {
  applySmallFeatures,
  classAgreement,
  initSmallFeatures,
  type SmallFeatureConfig,
  type SmallFeatures,
} from '@tb/metrics';
import { crossEntropy } from '@tb/nn';
import * as tf from '@tensorflow/tfjs-core';
import type { ImageBatch } from '../data/image-batches.js';
import type { Task } from '../task.js';

/** What a feature network is trained on. */
export type FeaturesTaskOptions = {
  config: SmallFeatureConfig;
  openBatches: Task<SmallFeatures, ImageBatch>['openBatches'];
  /** Images that training does not see. */
  heldOut: readonly ImageBatch[];
  /** Side of the images. */
  size: number;
};

/** Makes the task of training the small feature network as a classifier of labelled images. Validation reports its accuracy. */
export function createFeaturesTask({
  config,
  openBatches,
  heldOut,
  size,
}: FeaturesTaskOptions): Task<SmallFeatures, ImageBatch> {
  const task: Task<SmallFeatures, ImageBatch, { images: tf.Tensor4D; labels: tf.Tensor1D }> = {
    init: (key) => initSmallFeatures(key, config),
    constants: {},
    loss: (params, _, { images, labels }) => {
      const { logits } = applySmallFeatures(params, config, images);
      const accuracy = tf.mean(tf.cast(tf.equal(tf.argMax(logits, 1), labels), 'float32')) as tf.Scalar;
      return { loss: tf.mean(crossEntropy(logits, labels)) as tf.Scalar, metrics: { accuracy } };
    },
    openBatches,
    toTensors: ({ images, labels }) => ({
      images: tf.tensor4d(Float32Array.from(images), [labels.length, size, size, 3]),
      labels: tf.tensor1d(labels, 'int32'),
    }),
  };
  if (heldOut.length > 0) {
    task.validate = async (ema) => {
      const { overall } = await classAgreement({ params: ema, config }, heldOut, size);
      return { accuracy: overall };
    };
  }
  return task;
}
