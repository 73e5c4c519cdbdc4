import * as tf from '@tensorflow/tfjs-core';
import { composedKernel, replaceKernel } from '../composed-kernel.js';

// Gradients of 2-D convolution from the kernels that run through XNNPACK. The WASM backend has none with respect to
// the filter, and a plain loop (2 GFLOP/s) with respect to the input.
//
// N = images, H, W = input size, P, Q = output size, I, O = input and output channels, kh, kw = filter size

/** Attributes of Conv2D and its gradients. */
export type ConvolutionAttributes = {
  strides: number | [number, number];
  pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  dataFormat: 'NHWC' | 'NCHW';
  dilations?: number | [number, number];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
};
export type Shape4D = [number, number, number, number];

/** Registers Conv2DBackpropFilter, and Conv2DBackpropInput in place of the backend's own. */
export function registerConvolutionGradients(): void {
  replaceKernel(
    'wasm',
    'Conv2DBackpropFilter',
    composedKernel(({ x, dy }, attributes) => {
      const info = convolutionInfo(x.shape as Shape4D, attributes.filterShape, attributes);
      return filterGradient(x as tf.Tensor4D, dy as tf.Tensor4D, info);
    }),
  );
  replaceKernel(
    'wasm',
    'Conv2DBackpropInput',
    composedKernel(({ dy, filter }, attributes) => {
      const info = convolutionInfo(attributes.inputShape, filter.shape as Shape4D, attributes);
      return inputGradient(dy as tf.Tensor4D, filter as tf.Tensor4D, info);
    }),
  );
}

function convolutionInfo(
  input: Shape4D,
  filter: Shape4D,
  { strides, pad, dataFormat, dimRoundingMode }: ConvolutionAttributes,
) {
  if (dataFormat !== 'NHWC')
    throw new Error(`convolution gradient: dataFormat must be NHWC on wasm, got ${dataFormat}`);
  return tf.backend_util.computeConv2DInfo(input, filter, strides, 1, pad, dimRoundingMode, false, 'channelsLast');
}

/** For each filter tap (kh, kw): the strided slice of x that it saw, transposed to [I, N·P·Q], times dy [N·P·Q, O]. */
function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, info: tf.backend_util.Conv2DInfo): tf.Tensor {
  const { batchSize: N, outHeight: P, outWidth: Q, inChannels: I, outChannels: O } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth, padInfo } = info;
  const border = [
    [0, 0],
    [padInfo.top, padInfo.bottom],
    [padInfo.left, padInfo.right],
    [0, 0],
  ] as const;
  const channelsFirst = tf.transpose(tf.pad(x, border as never), [3, 0, 1, 2]); // [I, N, H, W]
  const right = tf.reshape<tf.Rank.R2>(dy, [N * P * Q, O]);
  const taps: tf.Tensor[] = [];
  for (let row = 0; row < filterHeight; row++) {
    for (let column = 0; column < filterWidth; column++) {
      const seen = tf.stridedSlice(
        channelsFirst,
        [0, 0, row, column],
        [I, N, row + (P - 1) * strideHeight + 1, column + (Q - 1) * strideWidth + 1],
        [1, 1, strideHeight, strideWidth],
      );
      taps.push(tf.matMul(tf.reshape<tf.Rank.R2>(seen, [I, N * P * Q]), right));
    }
  }
  return tf.reshape(tf.stack(taps), [filterHeight, filterWidth, I, O]);
}

/** dy with zeros between its rows and columns (for strides), convolved with the filter turned about. */
function inputGradient(dy: tf.Tensor4D, filter: tf.Tensor4D, info: tf.backend_util.Conv2DInfo): tf.Tensor {
  const { inHeight: H, inWidth: W, filterHeight, filterWidth, strideHeight, strideWidth, padInfo } = info;
  const spread = spreadOut(dy, strideHeight, strideWidth);
  const [, spreadHeight, spreadWidth] = spread.shape;
  const [top, left] = [filterHeight - 1 - padInfo.top, filterWidth - 1 - padInfo.left];
  const bottom = H + filterHeight - 1 - top - spreadHeight;
  const right = W + filterWidth - 1 - left - spreadWidth;
  const padded = padOrCrop(spread, [top, bottom], [left, right]);
  const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]) as tf.Tensor4D;
  return tf.conv2d(padded, turned, 1, 'valid');
}

function spreadOut(x: tf.Tensor4D, strideHeight: number, strideWidth: number): tf.Tensor4D {
  if (strideHeight === 1 && strideWidth === 1) return x;
  const [N, P, Q, O] = x.shape;
  const zeros = tf.pad(tf.reshape(x, [N * P, 1, Q, O]), [
    [0, 0],
    [0, strideHeight - 1],
    [0, 0],
    [0, 0],
  ]);
  const columns = tf.pad(tf.reshape(zeros, [N * P * strideHeight, Q, 1, O]), [
    [0, 0],
    [0, 0],
    [0, strideWidth - 1],
    [0, 0],
  ]);
  const spread = tf.reshape<tf.Rank.R4>(columns, [N, P * strideHeight, Q * strideWidth, O]);
  return tf.slice(spread, [0, 0, 0, 0], [N, (P - 1) * strideHeight + 1, (Q - 1) * strideWidth + 1, O]);
}

/** Padding whose negative amounts cut off. */
function padOrCrop(x: tf.Tensor4D, [top, bottom]: [number, number], [left, right]: [number, number]): tf.Tensor4D {
  const [N, H, W, C] = x.shape;
  const cut = (amount: number) => Math.max(0, -amount);
  const grow = (amount: number) => Math.max(0, amount);
  const size = [N, H - cut(top) - cut(bottom), W - cut(left) - cut(right), C];
  const kept = tf.slice(x, [0, cut(top), cut(left), 0], size as Shape4D);
  return tf.pad(kept, [
    [0, 0],
    [grow(top), grow(bottom)],
    [grow(left), grow(right)],
    [0, 0],
  ]);
}
