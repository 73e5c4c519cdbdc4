import * as tf from '@tensorflow/tfjs-core';

/** x·Φ(x) with the exact normal distribution function (by erf), as PyTorch's `nn.GELU()`; not the tanh approximation. */
export function gelu<X extends tf.Tensor>(x: X): X {
  return tf.tidy(() => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))) as X;
}

/** x·sigmoid(x), also called swish. */
export function silu<X extends tf.Tensor>(x: X): X {
  return tf.tidy(() => tf.mul(x, tf.sigmoid(x))) as X;
}
