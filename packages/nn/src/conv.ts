import type { Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertShape } from './assert.js';
import { fanInUniform } from './initializers.js';
import type { ShapesOf } from './params.js';

// N = images, H, W = height and width, I = input channels, O = output channels, K = kernel size

/** Two-dimensional convolution, in PyTorch's layout. */
export type Conv2d = {
  weight: tf.Tensor; // [O, I, K, K]
  bias: tf.Tensor; // [O]
};

/** Zeros added at each side. */
export type Padding = { top: number; bottom: number; left: number; right: number };

export type Conv2dOptions = {
  /** Default 1. */
  stride?: number;
  /** One number for all sides (default 0), or each side's own. */
  padding?: number | Padding;
};

/** Shapes of a convolution's parameters. */
export function conv2dShapes(inputs: number, outputs: number, kernelSize: number): ShapesOf<Conv2d> {
  return { weight: [outputs, inputs, kernelSize, kernelSize], bias: [outputs] };
}

/** PyTorch's default weight, uniform in ±1/√(I·K·K), and zero bias. */
export function initConv2d(key: Key, inputs: number, outputs: number, kernelSize: number): Conv2d {
  return { weight: fanInUniform(key, [outputs, inputs, kernelSize, kernelSize]), bias: tf.zeros([outputs]) };
}

/**
 * @param x - [N, H, W, I]
 * @returns [N, H', W', O] with H' = ⌊(H + top + bottom − K) / stride⌋ + 1
 * @throws Error if `x` has not I channels
 */
export function applyConv2d(params: Conv2d, x: tf.Tensor4D, options: Conv2dOptions = {}): tf.Tensor4D {
  const { stride = 1, padding = 0 } = options;
  const [, inputs] = params.weight.shape;
  assertShape('applyConv2d', 'x', x, [null, null, null, inputs]);
  return tf.tidy(() => {
    const kernel = tf.transpose(params.weight, [2, 3, 1, 0]) as tf.Tensor4D; // [K, K, I, O]
    return tf.add(tf.conv2d(x, kernel, stride, explicitPadding(padding)), params.bias);
  });
}

function explicitPadding(padding: number | Padding): number | tf.backend_util.ExplicitPadding {
  if (typeof padding === 'number') return padding;
  const { top, bottom, left, right } = padding;
  return [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
}
