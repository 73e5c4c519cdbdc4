import { type Key, uniform, normal as unitNormal } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

// Weights follow PyTorch's layout: [outputs, inputs, ...kernel].

/** Uniform in ±√(6 / (fanIn + fanOut)) (Glorot & Bengio 2010): the linears of the reference. */
export function xavierUniform(key: Key, shape: readonly number[]): tf.Tensor {
  const { fanIn, fanOut } = fans('xavierUniform', shape);
  return symmetricUniform(key, shape, Math.sqrt(6 / (fanIn + fanOut)));
}

/** Uniform in ±1/√fanIn: PyTorch's default for convolutions and linears. */
export function fanInUniform(key: Key, shape: readonly number[]): tf.Tensor {
  return symmetricUniform(key, shape, 1 / Math.sqrt(fans('fanInUniform', shape).fanIn));
}

/** Gaussian with mean 0; the reference draws class and position embeddings with a deviation of 0.02. */
export function normal(key: Key, shape: readonly number[], standardDeviation = 0.02): tf.Tensor {
  return tf.tidy(() => tf.mul(unitNormal(key, [...shape]), standardDeviation));
}

function symmetricUniform(key: Key, shape: readonly number[], bound: number): tf.Tensor {
  return tf.tidy(() => tf.sub(tf.mul(uniform(key, [...shape]), 2 * bound), bound));
}

function fans(where: string, shape: readonly number[]): { fanIn: number; fanOut: number } {
  if (shape.length < 2) {
    throw new Error(`${where}: shape must be [outputs, inputs, ...kernel], got [${shape.join(', ')}]`);
  }
  const [outputs, inputs, ...kernel] = shape;
  const receptive = kernel.reduce((product, size) => product * size, 1);
  return { fanIn: inputs * receptive, fanOut: outputs * receptive };
}
