import * as tf from '@tensorflow/tfjs-core';
import type { Node } from '../graph/node.js';
import * as ew from '../hlo/elementwise.js';
import { constant } from '../hlo/literal.js';
import { reduceWindow, selectAndScatter, type Window } from '../hlo/reduce.js';
import { broadcastTo, pad } from '../hlo/shape.js';
import type { KernelTable } from './registry.js';
import { float } from './unary.js';

type PoolAttributes = {
  filterSize: [number, number];
  strides: [number, number];
  pad: Parameters<typeof tf.backend_util.computePool2DInfo>[4];
  dilations?: number | [number, number];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
};

/** The window over [N, height, width, C]. */
function window2D(shape: readonly number[], attributes: PoolAttributes): Window {
  const info = tf.backend_util.computePool2DInfo(
    [...shape] as [number, number, number, number],
    attributes.filterSize,
    attributes.strides,
    attributes.dilations ?? 1,
    attributes.pad,
    attributes.dimRoundingMode,
  );
  return {
    size: [1, info.filterHeight, info.filterWidth, 1],
    strides: [1, info.strideHeight, info.strideWidth, 1],
    dilation: [1, info.dilationHeight, info.dilationWidth, 1],
    ...paddingOf(
      shape,
      [1, info.filterHeight, info.filterWidth, 1],
      [1, info.strideHeight, info.strideWidth, 1],
      [
        [0, info.padInfo.top, info.padInfo.left, 0],
        [1, info.outHeight, info.outWidth, 1],
        [1, info.dilationHeight, info.dilationWidth, 1],
      ],
    ),
  };
}

/** The window over [N, depth, height, width, C]. */
function window3D(shape: readonly number[], attributes: Record<string, never>): Window {
  const info = tf.backend_util.computePool3DInfo(
    [...shape] as [number, number, number, number, number],
    attributes.filterSize,
    attributes.strides,
    1,
    attributes.pad,
    attributes.dimRoundingMode,
    attributes.dataFormat,
  );
  const size = [1, info.filterDepth, info.filterHeight, info.filterWidth, 1];
  const strides = [1, info.strideDepth, info.strideHeight, info.strideWidth, 1];
  return {
    size,
    strides,
    dilation: [1, 1, 1, 1, 1],
    ...paddingOf(shape, size, strides, [
      [0, info.padInfo.front, info.padInfo.top, info.padInfo.left, 0],
      [1, info.outDepth, info.outHeight, info.outWidth, 1],
      [1, 1, 1, 1, 1],
    ]),
  };
}

/** The high padding that gives exactly the output size that TensorFlow.js expects (it may be negative: cut). */
function paddingOf(
  shape: readonly number[],
  size: number[],
  strides: number[],
  [low, output, dilation]: [number[], number[], number[]],
): { low: number[]; high: number[] } {
  const high = shape.map(
    (length, i) => (output[i] - 1) * strides[i] + (size[i] - 1) * dilation[i] + 1 - length - low[i],
  );
  high[0] = 0;
  high[high.length - 1] = 0;
  return { low, high };
}

/** The mean of the elements that lie inside the image. */
function averagePool(x: Node, window: Window): Node {
  const sum = reduceWindow(float(x), 'add', window);
  return ew.divide(sum, windowCounts(x, sum.type.shape, window));
}

/**
 * How many elements of the image each window holds. Counted for one image and one channel: the compiler works constants
 * out in advance, slowly.
 */
function windowCounts(x: Node, outputShape: readonly number[], window: Window): Node {
  const plane = x.type.shape.map((length, axis) => (axis === 0 || axis === x.type.shape.length - 1 ? 1 : length));
  return broadcastTo(reduceWindow(constant(1, 'f32', plane), 'add', window), outputShape);
}

/** Each element collects the gradients of the windows that it lies in. */
function averagePoolGradient(dy: Node, x: Node, window: Window): Node {
  const share = ew.divide(float(dy), windowCounts(x, dy.type.shape, window));
  const { size, strides, low } = window;
  const ones = size.map(() => 1);
  const before = size.map((length, i) => length - 1 - low[i]);
  const after = x.type.shape.map((length, i) => length + low[i] - 1 - strides[i] * (dy.type.shape[i] - 1));
  const spread = pad(
    share,
    constant(0, 'f32'),
    before,
    after,
    strides.map((stride) => stride - 1),
  );
  return reduceWindow(spread, 'add', { size, strides: ones, low: size.map(() => 0), high: size.map(() => 0) });
}

/** The scatter reads no negative padding; what is cut away gets no gradient anyway. */
function maxPoolGradient(dy: Node, x: Node, window: Window): Node {
  const cut = window.high.map((count) => Math.min(0, count));
  const none = cut.map(() => 0);
  const zero = constant(0, 'f32');
  const read = pad(float(x), zero, none, cut);
  const scattered = selectAndScatter(read, float(dy), {
    ...window,
    high: window.high.map((count) => Math.max(0, count)),
  });
  return pad(
    scattered,
    zero,
    none,
    cut.map((count) => -count),
  );
}

export const poolKernels: KernelTable = {
  AvgPool: ({ x }, attributes) => averagePool(x.node, window2D(x.node.type.shape, attributes)),
  AvgPool3D: ({ x }, attributes) => averagePool(x.node, window3D(x.node.type.shape, attributes)),
  AvgPool3DGrad: ({ dy, input }, attributes) =>
    averagePoolGradient(dy.node, input.node, window3D(input.node.type.shape, attributes)),
  AvgPoolGrad: ({ dy, input }, attributes) =>
    averagePoolGradient(dy.node, input.node, window2D(input.node.type.shape, attributes)),
  MaxPool: ({ x }, attributes) => reduceWindow(x.node, 'maximum', window2D(x.node.type.shape, attributes)),
  MaxPool3D: ({ x }, attributes) => reduceWindow(x.node, 'maximum', window3D(x.node.type.shape, attributes)),
  MaxPool3DGrad: ({ dy, input }, attributes) =>
    maxPoolGradient(dy.node, input.node, window3D(input.node.type.shape, attributes)),
  MaxPoolGrad: ({ dy, input }, attributes) =>
    maxPoolGradient(dy.node, input.node, window2D(input.node.type.shape, attributes)),
};
