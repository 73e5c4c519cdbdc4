import * as tf from '@tensorflow/tfjs-core';
import type { TokenBridgeConfig } from './config.js';
export function quantize(config: TokenBridgeConfig, x: tf.Tensor): tf.Tensor3D {
  const { min, max, range, codebook } = config.quantizer;
  return tf.tidy(() => {
    const xi = tf.clipByValue(tf.sub(tf.mul(tf.div(tf.sub(x, min), max - min), 2 * range), range), -range, range);
    return tf.argMin(tf.abs(tf.sub(tf.expandDims(xi, 3), tf.tensor1d([...codebook!]))), 3) as tf.Tensor3D;
  });
}
export function dequantize(config: TokenBridgeConfig, i: tf.Tensor3D): tf.Tensor3D {
  const { min, max, range, codebook } = config.quantizer;
  return tf.tidy(() => {
    const v = tf.add(tf.mul(tf.div(tf.add(tf.tensor1d([...codebook!]), range), 2 * range), max - min), min);
    return tf.gather(v, i) as tf.Tensor3D;
  });
}
