import * as tf from '@tensorflow/tfjs-core';
import type { InceptionWeights } from './weights.js';

/**
 * Inception-v3 as the Fréchet distance's reference port runs it (TensorFlow's 2015-12-05 graph; Szegedy et al. 2015).
 * Average pools leave their padding out of the mean, the last block pools by maximum, and there are 1008 logits.
 *
 * N = images, H, W = height and width, C = channels; every layer is NHWC.
 */

/** Side of the square images that the network reads, in pixels. */
export const INCEPTION_SIZE = 299;

/** Outputs of Inception-v3 at the layers that metrics use. */
export type InceptionFeatures = {
  /** Spatial means after the first pool [N, 64], the second pool [N, 192] and Mixed_6e [N, 768]. */
  readonly '64': tf.Tensor2D;
  readonly '192': tf.Tensor2D;
  readonly '768': tf.Tensor2D;
  /** Final average pool [N, 2048]: the features of FID, KID, precision and recall. */
  readonly '2048': tf.Tensor2D;
  /** First seven channels of Mixed_6d's 1×1 branch [N, 17·17·7 = 2023]: the spatial features of sFID. */
  readonly spatial: tf.Tensor2D;
  /** Logits without their bias [N, 1008]: what the Inception Score reads. */
  readonly logitsUnbiased: tf.Tensor2D;
};

/**
 * @param images - [N, 299, 299, 3], normalized to about [−1, 1] by one of the functions of `preprocess.ts`
 * @throws RangeError if the images have another size
 */
export function inceptionFeatures(weights: InceptionWeights, images: tf.Tensor4D): InceptionFeatures {
  const [, height, width, channels] = images.shape;
  if (height !== INCEPTION_SIZE || width !== INCEPTION_SIZE || channels !== 3) {
    throw new RangeError(`inceptionFeatures: images must be [N, 299, 299, 3], got [${images.shape.join(', ')}]`);
  }
  return tf.tidy(() => {
    const block = (name: string) => blockOf(weights, name);
    let x = tf.tidy(() => stem(weights, images));
    /** Applies layers to `x` and frees it: all results of a pass in memory would be gigabytes. */
    const advance = (layers: (input: tf.Tensor4D) => tf.Tensor4D) => {
      const input = x;
      x = tf.tidy(() => layers(input));
      input.dispose();
    };
    const first = spatialMean(x);
    advance((input) => stemTail(weights, input));
    const second = spatialMean(x);
    for (const name of ['Mixed_5b', 'Mixed_5c', 'Mixed_5d']) advance((input) => mixed5(block(name), input));
    advance((input) => mixed6a(block('Mixed_6a'), input));
    for (const name of ['Mixed_6b', 'Mixed_6c']) advance((input) => mixed6(block(name), input));
    const spatial = tf.slice(block('Mixed_6d')('branch1x1', x), [0, 0, 0, 0], [-1, -1, -1, 7]);
    for (const name of ['Mixed_6d', 'Mixed_6e']) advance((input) => mixed6(block(name), input));
    const third = spatialMean(x);
    advance((input) => mixed7a(block('Mixed_7a'), input));
    advance((input) => mixed7(block('Mixed_7b'), input, averagePool));
    advance((input) => mixed7(block('Mixed_7c'), input, (y) => tf.maxPool(y, 3, 1, 'same')));
    const pooled = spatialMean(x);
    return {
      '64': first,
      '192': second,
      '768': third,
      '2048': pooled,
      spatial: tf.reshape(spatial, [images.shape[0], -1]) as tf.Tensor2D,
      logitsUnbiased: tf.matMul(pooled, weights.classifier, false, true) as tf.Tensor2D,
    };
  });
}

type Convolution = (name: string, x: tf.Tensor4D, stride?: number, padding?: 'same' | 'valid') => tf.Tensor4D;

/** The convolutions of one named block. */
function blockOf(weights: InceptionWeights, block: string): Convolution {
  return (name, x, stride, padding) => convolve(weights, `${block}.${name}`, x, stride, padding);
}

/** Convolution, batch normalization (folded into kernel and bias when the weights were loaded) and ReLU. */
function convolve(
  { convolutions }: InceptionWeights,
  name: string,
  x: tf.Tensor4D,
  stride = 1,
  padding: 'same' | 'valid' = 'same',
): tf.Tensor4D {
  const { kernel, bias } = convolutions[name];
  return tf.fused.conv2d({ x, filter: kernel, strides: stride, pad: padding, bias, activation: 'relu' });
}

/** From 299×299 to 73×73. */
function stem(weights: InceptionWeights, images: tf.Tensor4D): tf.Tensor4D {
  const strided = convolve(weights, 'Conv2d_1a_3x3', images, 2, 'valid');
  const plain = convolve(weights, 'Conv2d_2a_3x3', strided, 1, 'valid');
  return maxPool(convolve(weights, 'Conv2d_2b_3x3', plain));
}

/** From 73×73 to 35×35. */
function stemTail(weights: InceptionWeights, x: tf.Tensor4D): tf.Tensor4D {
  return maxPool(convolve(weights, 'Conv2d_4a_3x3', convolve(weights, 'Conv2d_3b_1x1', x), 1, 'valid'));
}

/** 35×35, 5b to 5d. */
function mixed5(block: Convolution, x: tf.Tensor4D): tf.Tensor4D {
  const five = block('branch5x5_2', block('branch5x5_1', x));
  const double = block('branch3x3dbl_3', block('branch3x3dbl_2', block('branch3x3dbl_1', x)));
  return join([block('branch1x1', x), five, double, block('branch_pool', averagePool(x))]);
}

/** From 35×35 to 17×17. */
function mixed6a(block: Convolution, x: tf.Tensor4D): tf.Tensor4D {
  const double = block('branch3x3dbl_3', block('branch3x3dbl_2', block('branch3x3dbl_1', x)), 2, 'valid');
  return join([block('branch3x3', x, 2, 'valid'), double, maxPool(x)]);
}

/** 17×17 with factorized 7×7 convolutions, 6b to 6e. */
function mixed6(block: Convolution, x: tf.Tensor4D): tf.Tensor4D {
  const chain = (prefix: string, length: number) => {
    let y = x;
    for (let i = 1; i <= length; i++) y = block(`${prefix}_${i}`, y);
    return y;
  };
  return join([
    block('branch1x1', x),
    chain('branch7x7', 3),
    chain('branch7x7dbl', 5),
    block('branch_pool', averagePool(x)),
  ]);
}

/** From 17×17 to 8×8. */
function mixed7a(block: Convolution, x: tf.Tensor4D): tf.Tensor4D {
  const three = block('branch3x3_2', block('branch3x3_1', x), 2, 'valid');
  const seven = block('branch7x7x3_3', block('branch7x7x3_2', block('branch7x7x3_1', x)));
  return join([three, block('branch7x7x3_4', seven, 2, 'valid'), maxPool(x)]);
}

/** 8×8 with widened branches, 7b and 7c, which differ in their pool. */
function mixed7(block: Convolution, x: tf.Tensor4D, pool: (x: tf.Tensor4D) => tf.Tensor4D): tf.Tensor4D {
  const three = block('branch3x3_1', x);
  const double = block('branch3x3dbl_2', block('branch3x3dbl_1', x));
  return join([
    block('branch1x1', x),
    block('branch3x3_2a', three),
    block('branch3x3_2b', three),
    block('branch3x3dbl_3a', double),
    block('branch3x3dbl_3b', double),
    block('branch_pool', pool(x)),
  ]);
}

function join(branches: tf.Tensor4D[]): tf.Tensor4D {
  return tf.concat(branches, 3);
}

/** 'same' pools of TensorFlow.js average over the pixels inside the image alone, as the original graph does. */
function averagePool(x: tf.Tensor4D): tf.Tensor4D {
  return tf.avgPool(x, 3, 1, 'same');
}

function maxPool(x: tf.Tensor4D): tf.Tensor4D {
  return tf.maxPool(x, 3, 2, 'valid');
}

function spatialMean(x: tf.Tensor4D): tf.Tensor2D {
  return tf.mean(x, [1, 2]) as tf.Tensor2D;
}
