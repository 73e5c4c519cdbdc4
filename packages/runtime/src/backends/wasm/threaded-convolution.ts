import * as tf from '@tensorflow/tfjs-core';
import type { ConvolutionAttributes, Shape4D } from './convolution.js';
import type { ThreadPool } from './thread-pool.js';
import { multiply, type PatchGeometry } from './threaded-product.js';
import { pointerOf, type WasmBackend } from './wasm-backend.js';

// 2-D convolutions as matrix products on all threads: the matrix of patches, with a row for each output pixel and a
// column for each filter tap and input channel, times the filter. The matrix is never stored: threads pack the parts
// that they multiply.

type FilterGradientAttributes = ConvolutionAttributes & { filterShape: Shape4D };

/** The kernel Conv2D. Other layouts and dilated filters are left to `original`. */
export function convolution(pool: ThreadPool, original: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
    const { x, filter } = call.inputs as { x: tf.Tensor4D; filter: tf.Tensor4D };
    const info = plainInfo(x.shape, filter.shape, call.attrs as unknown as ConvolutionAttributes);
    if (!info) return original(call);
    const out = backend.makeOutput(info.outShape, 'float32');
    const [M, K, N] = [
      info.batchSize * info.outHeight * info.outWidth,
      filter.size / info.outChannels,
      info.outChannels,
    ];
    multiply(
      pool,
      { ...patchesOf(info, false), pointer: pointerOf(backend, x) },
      { pointer: pointerOf(backend, filter), kStride: N, columnStride: 1, batchStride: 0 },
      pointerOf(backend, out),
      { batch: 1, M, K, N },
    );
    return out;
  };
}

/** The kernel Conv2DBackpropFilter: the transposed matrix of patches times the gradient of the output. */
export function filterGradient(pool: ThreadPool, original: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
    const { x, dy } = call.inputs as { x: tf.Tensor4D; dy: tf.Tensor4D };
    const attributes = call.attrs as unknown as FilterGradientAttributes;
    const info = plainInfo(x.shape, attributes.filterShape, attributes);
    if (!info) return original(call);
    const out = backend.makeOutput(attributes.filterShape, 'float32');
    const N = info.outChannels;
    const [M, K] = [tf.util.sizeFromShape(attributes.filterShape) / N, info.batchSize * info.outHeight * info.outWidth];
    multiply(
      pool,
      { ...patchesOf(info, true), pointer: pointerOf(backend, x) },
      { pointer: pointerOf(backend, dy), kStride: N, columnStride: 1, batchStride: 0 },
      pointerOf(backend, out),
      { batch: 1, M, K, N },
    );
    return out;
  };
}

function plainInfo(
  input: Shape4D,
  filter: Shape4D,
  attributes: ConvolutionAttributes,
): tf.backend_util.Conv2DInfo | undefined {
  const { strides, pad, dataFormat, dilations = 1, dimRoundingMode } = attributes;
  const isDilated = [dilations].flat().some((dilation) => dilation !== 1);
  if (dataFormat === 'NCHW' || isDilated) return undefined;
  return tf.backend_util.computeConv2DInfo(input, filter, strides, 1, pad, dimRoundingMode, false, 'channelsLast');
}

function patchesOf(info: tf.backend_util.Conv2DInfo, transposed: boolean) {
  const geometry: PatchGeometry = {
    height: info.inHeight,
    width: info.inWidth,
    channels: info.inChannels,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    filterWidth: info.filterWidth,
    strideY: info.strideHeight,
    strideX: info.strideWidth,
    padTop: info.padInfo.top,
    padLeft: info.padInfo.left,
  };
  return { rowStride: 0, kStride: 0, batchStride: 0, patches: { transposed, geometry } };
}
