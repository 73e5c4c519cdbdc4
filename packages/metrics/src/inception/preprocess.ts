import * as tf from '@tensorflow/tfjs-core';
import { INCEPTION_SIZE } from './network.js';

/**
 * How images reach the network. The two evaluators in use differ, and with them their FID in the second decimal:
 * - 'tensorflow' (the original graph, torch-fidelity, ADM's evaluator): bilinear with source = i·in/out, without a half
 *   pixel's shift, then (x − 128)/128;
 * - 'pytorch-fid': bilinear between pixel centres, then 2x/255 − 1.
 */
export type InceptionPreprocessing = 'tensorflow' | 'pytorch-fid';

/**
 * @param images - [N, H, W, 3] of any size, values 0 to 255
 * @returns [N, 299, 299, 3] for `inceptionFeatures`
 */
export function prepareForInception(images: tf.Tensor4D, how: InceptionPreprocessing = 'tensorflow'): tf.Tensor4D {
  return tf.tidy(() => {
    const size: [number, number] = [INCEPTION_SIZE, INCEPTION_SIZE];
    const halfPixelCenters = how === 'pytorch-fid';
    const resized =
      images.shape[1] === INCEPTION_SIZE && images.shape[2] === INCEPTION_SIZE
        ? images
        : tf.image.resizeBilinear(images, size, false, halfPixelCenters);
    return how === 'tensorflow' ? tf.div(tf.sub(resized, 128), 128) : tf.sub(tf.div(resized, 127.5), 1);
  });
}
