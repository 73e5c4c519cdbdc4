import * as tf from '@tensorflow/tfjs-core';

/**
 * (x − mean) / √(variance + epsilon) over the given axes, with the biased variance: the core of layer and group norm.
 *
 * @returns a tensor of x's shape
 */
export function normalize<X extends tf.Tensor>(x: X, axes: number[], epsilon: number): X {
  return tf.tidy(() => normalizeWithGradient(axes, epsilon)(x)) as X;
}

// Own gradient: on [1024, 1024] on wasm, forward and backward took 6.9 ms instead of 15, 17 kernels instead of 43.
function normalizeWithGradient(axes: number[], epsilon: number) {
  return tf.customGrad((input, save) => {
    const x = input as tf.Tensor;
    const centered = tf.sub(x, tf.mean(x, axes, true));
    const variance = tf.mean(tf.square(centered), axes, true);
    const inverseDeviation = tf.rsqrt(tf.add(variance, epsilon));
    const value = tf.mul(centered, inverseDeviation);
    (save as tf.GradSaveFunc)([value, inverseDeviation]);
    const gradFunc = (upstream: tf.Tensor, [normalized, scale]: tf.Tensor[]) => {
      // dx = scale · (dy − mean(dy) − y·mean(dy·y))
      const mean = tf.mean(upstream, axes, true);
      const slope = tf.mean(tf.mul(upstream, normalized), axes, true);
      return tf.mul(scale, tf.sub(tf.sub(upstream, mean), tf.mul(normalized, slope)));
    };
    return { value, gradFunc };
  });
}
