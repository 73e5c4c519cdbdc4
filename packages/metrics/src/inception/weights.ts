import type { HostTensor } from '@tb/io';
import { loadParameters } from '@tb/nn';
import * as tf from '@tensorflow/tfjs-core';
import { INCEPTION_KERNELS, inceptionShapes } from './shapes.js';

/** Batch normalization's epsilon in TensorFlow's graph (PyTorch's own default is 1e-5). */
const EPSILON = 1e-3;

export type InceptionConvolution = { kernel: tf.Tensor4D; bias: tf.Tensor1D };

/** The weights of Inception-v3 as tensors. */
export type InceptionWeights = {
  /** By name: kernel [height, width, in, out] and bias [out], batch normalization folded in. */
  convolutions: Record<string, InceptionConvolution>;
  /** [1008, 2048] */
  classifier: tf.Tensor2D;
};

/**
 * Uploads the weights with batch normalization folded into the convolutions.
 *
 * @param tensors - the published tensors by name; `num_batches_tracked` and `AuxLogits` are ignored
 * @throws Error listing every missing, unexpected or wrongly shaped tensor
 */
export function inceptionWeights(tensors: Readonly<Record<string, HostTensor>>): InceptionWeights {
  const used = Object.entries(tensors).filter(([name]) => !/\.num_batches_tracked$|^AuxLogits\./.test(name));
  return tf.tidy(() => {
    const official = loadParameters<Record<string, tf.Tensor>>(inceptionShapes(), Object.fromEntries(used));
    const convolutions = INCEPTION_KERNELS.map(([name]) => [name, foldBatchNormalization(official, name)]);
    return { convolutions: Object.fromEntries(convolutions), classifier: tf.clone(official['fc.weight']) };
  }) as InceptionWeights;
}

/** y = γ (W x − mean)/√(variance + ε) + β as one convolution. */
function foldBatchNormalization(official: Record<string, tf.Tensor>, name: string): InceptionConvolution {
  const statistic = (key: string) => official[`${name}.bn.${key}`];
  const scale = tf.div(statistic('weight'), tf.sqrt(tf.add(statistic('running_var'), EPSILON)));
  const weight = tf.mul(official[`${name}.conv.weight`], tf.reshape(scale, [-1, 1, 1, 1]));
  return {
    kernel: tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D,
    bias: tf.sub(statistic('bias'), tf.mul(statistic('running_mean'), scale)) as tf.Tensor1D,
  };
}
