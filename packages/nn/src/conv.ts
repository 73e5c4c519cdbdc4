import * as tf from '@tensorflow/tfjs-core';
import { assertShape } from './assert.js';
import { fanInUniform } from './initializers.js';
import { type Declaration, parameter } from './params.js';

// N = images, I = input channels, O = output channels

/** Two-dimensional convolution, in PyTorch's layout. */
export type Conv2d = {
  weight: tf.Tensor; // [O, I, kernel, kernel]
  bias: tf.Tensor; // [O]
};

/** Zeros added at each side. */
export type Padding = { top: number; bottom: number; left: number; right: number };

/** Options of `applyConv2d`. */
export type Conv2dOptions = {
  /** Default 1. */
  stride?: number;
  /** One number for all sides (default 0), or a number for each. */
  padding?: number | Padding;
};

/** Declares a convolution with PyTorch's default weight, uniform in ±1/√(I·kernel²), and zero bias. */
export function conv2dParameters(inputs: number, outputs: number, kernelSize: number): Declaration<Conv2d> {
  return {
    weight: parameter([outputs, inputs, kernelSize, kernelSize], fanInUniform),
    bias: parameter([outputs], 0),
  };
}

/**
 * Convolves images.
 *
 * @param x - [N, height, width, I]
 * @returns [N, height', width', O] with height' = ⌊(height + top + bottom − kernel) / stride⌋ + 1
 * @throws Error if `x` does not have I channels
 */
export function applyConv2d(params: Conv2d, x: tf.Tensor4D, options: Conv2dOptions = {}): tf.Tensor4D {
  const { stride = 1, padding = 0 } = options;
  const [, inputs] = params.weight.shape;
  assertShape('applyConv2d', 'x', x, [null, null, null, inputs]);
  return tf.tidy(() => {
    const kernel = tf.transpose(params.weight, [2, 3, 1, 0]) as tf.Tensor4D; // [kernel, kernel, I, O]
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
