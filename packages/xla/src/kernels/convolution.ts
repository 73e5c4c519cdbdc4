import * as tf from '@tensorflow/tfjs-core';
import type { Node } from '../graph/node.js';
import { type Convolution, convolution } from '../hlo/contract.js';
import { convert, reshape, transpose } from '../hlo/shape.js';
import { dotPrecision, productType } from '../precision.js';
import { finishFused } from './matmul.js';
import type { KernelTable } from './registry.js';

/** The geometry of a convolution, one number for each spatial axis; `low` and `high` are the padding. */
type Geometry = {
  kernel: number[];
  strides: number[];
  dilation: number[];
  low: number[];
  high: number[];
  input: number[];
  output: number[];
  batch: number;
  inChannels: number;
  outChannels: number;
};

type Conv2DInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;
type Conv3DInfo = ReturnType<typeof tf.backend_util.computeConv3DInfo>;

function geometry2D(info: Conv2DInfo): Geometry {
  const { padInfo } = info;
  return {
    kernel: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilation: [info.dilationHeight, info.dilationWidth],
    low: [padInfo.top, padInfo.left],
    high: [padInfo.bottom, padInfo.right],
    input: [info.inHeight, info.inWidth],
    output: [info.outHeight, info.outWidth],
    batch: info.batchSize,
    inChannels: info.inChannels,
    outChannels: info.outChannels,
  };
}

function geometry3D(info: Conv3DInfo): Geometry {
  const { padInfo } = info;
  return {
    kernel: [info.filterDepth, info.filterHeight, info.filterWidth],
    strides: [info.strideDepth, info.strideHeight, info.strideWidth],
    dilation: [info.dilationDepth, info.dilationHeight, info.dilationWidth],
    low: [padInfo.front, padInfo.top, padInfo.left],
    high: [padInfo.back, padInfo.bottom, padInfo.right],
    input: [info.inDepth, info.inHeight, info.inWidth],
    output: [info.outDepth, info.outHeight, info.outWidth],
    batch: info.batchSize,
    inChannels: info.inChannels,
    outChannels: info.outChannels,
  };
}

type ConvAttributes = {
  strides: number | [number, number];
  pad: Parameters<typeof tf.backend_util.computeConv2DInfo>[4];
  dataFormat?: 'NHWC' | 'NCHW';
  dilations?: number | [number, number];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
};

type Shape4D = [number, number, number, number];
type Shape5D = [number, number, number, number, number];

const info2D = (input: readonly number[], filter: readonly number[], attributes: ConvAttributes, isDepthwise = false) =>
  geometry2D(
    tf.backend_util.computeConv2DInfo(
      [...input] as Shape4D,
      [...filter] as Shape4D,
      attributes.strides,
      attributes.dilations ?? 1,
      attributes.pad,
      attributes.dimRoundingMode,
      isDepthwise,
      attributes.dataFormat === 'NCHW' ? 'channelsFirst' : 'channelsLast',
    ),
  );

const info3D = (input: readonly number[], filter: readonly number[], attributes: Record<string, never>) =>
  geometry3D(
    tf.backend_util.computeConv3DInfo(
      [...input] as Shape5D,
      [...filter] as Shape5D,
      attributes.strides,
      attributes.dilations ?? 1,
      attributes.pad,
    ),
  );

/** The labels of the spatial axes: `0, 1` or `0, 1, 2`. */
const spatialLabels = (g: Geometry) => g.kernel.map((_, axis) => axis).join(', ');

/** Dimension labels of an image array: channels last or first. */
function imageLabels(g: Geometry, isChannelsFirst: boolean, batch = 'b', feature = 'f'): string {
  const axes = spatialLabels(g);
  return isChannelsFirst ? `[${batch}, ${feature}, ${axes}]` : `[${batch}, ${axes}, ${feature}]`;
}

function imageShape(batch: number, spatial: number[], channels: number, isChannelsFirst: boolean): number[] {
  return isChannelsFirst ? [batch, channels, ...spatial] : [batch, ...spatial, channels];
}

function convolve(lhs: Node, rhs: Node, options: Convolution): Node {
  const type = productType();
  return convolution(convert(lhs, type), convert(rhs, type), options, type, dotPrecision());
}

function forward(x: Node, filter: Node, g: Geometry, isFirst = false, featureGroups = 1): Node {
  const axes = spatialLabels(g);
  return convolve(x, filter, {
    dimensions: `${imageLabels(g, isFirst)}x[${axes}, i, o]->${imageLabels(g, isFirst)}`,
    strides: g.strides,
    low: g.low,
    high: g.high,
    rhsDilation: g.dilation,
    featureGroups,
    shape: imageShape(g.batch, g.output, g.outChannels, isFirst),
  });
}

/** Gradient with respect to the input: the gradient, spread by the stride, convolved with the reversed kernel. */
function inputGradient(dy: Node, filter: Node, g: Geometry, isFirst = false, featureGroups = 1): Node {
  const axes = spatialLabels(g);
  const extent = g.kernel.map((size, i) => (size - 1) * g.dilation[i] + 1);
  const kernelLabels = featureGroups === 1 ? `[${axes}, o, i]` : `[${axes}, i, o]`;
  return convolve(dy, filter, {
    dimensions: `${imageLabels(g, isFirst)}x${kernelLabels}->${imageLabels(g, isFirst)}`,
    strides: g.strides.map(() => 1),
    low: extent.map((size, i) => size - 1 - g.low[i]),
    high: extent.map((_, i) => g.input[i] + g.low[i] - 1 - g.strides[i] * (g.output[i] - 1)),
    lhsDilation: g.strides,
    rhsDilation: g.dilation,
    isKernelReversed: true,
    featureGroups,
    shape: imageShape(g.batch, g.input, g.inChannels, isFirst),
  });
}

/** Gradient with respect to the kernel: the input convolved with the gradient, channels and batch exchanged. In float32. */
function kernelGradient(x: Node, dy: Node, g: Geometry, isFirst = false, batchGroups = 1): Node {
  const axes = spatialLabels(g);
  const type = productType();
  const extent = g.kernel.map((size, i) => (size - 1) * g.dilation[i] + 1);
  const options: Convolution = {
    dimensions: `${imageLabels(g, isFirst, 'f', 'b')}x${imageLabels(g, isFirst, 'i', 'o')}->[${axes}, b, f]`,
    strides: g.dilation,
    low: g.low,
    high: extent.map((size, i) => g.strides[i] * (g.output[i] - 1) + size - g.input[i] - g.low[i]),
    rhsDilation: g.strides,
    batchGroups,
    shape: [...g.kernel, g.inChannels / batchGroups, g.outChannels],
  };
  return convolution(convert(x, type), convert(dy, type), options, 'f32', dotPrecision());
}

/** [height, width, channels, multiplier] as one group for each channel. */
function groupedFilter(filter: Node): Node {
  const [height, width, channels, multiplier] = filter.type.shape;
  return reshape(filter, [height, width, 1, channels * multiplier]);
}

const isFirst = (attributes: ConvAttributes) => attributes.dataFormat === 'NCHW';

function conv2D(x: Node, filter: Node, attributes: ConvAttributes): Node {
  return forward(x, filter, info2D(x.type.shape, filter.type.shape, attributes), isFirst(attributes));
}

function depthwise(x: Node, filter: Node, attributes: ConvAttributes): Node {
  const g = info2D(x.type.shape, filter.type.shape, attributes, true);
  return forward(x, groupedFilter(filter), g, isFirst(attributes), g.inChannels);
}

export const convolutionKernels: KernelTable = {
  Conv2D: ({ x, filter }, attributes) => conv2D(x.node, filter.node, attributes),
  Conv2DBackpropFilter: ({ x, dy }, attributes) =>
    kernelGradient(x.node, dy.node, info2D(x.node.type.shape, attributes.filterShape, attributes), isFirst(attributes)),
  Conv2DBackpropInput: ({ dy, filter }, attributes) => {
    const g = info2D(attributes.inputShape, filter.node.type.shape, attributes);
    return inputGradient(dy.node, filter.node, g, isFirst(attributes));
  },
  Conv3D: ({ x, filter }, attributes) =>
    forward(x.node, filter.node, info3D(x.node.type.shape, filter.node.type.shape, attributes)),
  Conv3DBackpropFilterV2: ({ x, dy }, attributes) =>
    kernelGradient(x.node, dy.node, info3D(x.node.type.shape, attributes.filterShape, attributes)),
  Conv3DBackpropInputV2: ({ dy, filter }, attributes) =>
    inputGradient(dy.node, filter.node, info3D(attributes.inputShape, filter.node.type.shape, attributes)),
  DepthwiseConv2dNative: ({ x, filter }, attributes) => depthwise(x.node, filter.node, attributes),
  DepthwiseConv2dNativeBackpropFilter: ({ x, dy }, attributes) => {
    const g = info2D(x.node.type.shape, attributes.filterShape, attributes, true);
    return reshape(kernelGradient(x.node, dy.node, g, isFirst(attributes), g.inChannels), attributes.filterShape);
  },
  DepthwiseConv2dNativeBackpropInput: ({ dy, filter }, attributes) => {
    const g = info2D(attributes.inputShape, filter.node.type.shape, attributes, true);
    return inputGradient(dy.node, transpose(filter.node, [0, 1, 3, 2]), g, isFirst(attributes), g.inChannels);
  },
  FusedConv2D: (inputs, attributes) =>
    finishFused(conv2D(inputs.x.node, inputs.filter.node, attributes), inputs, attributes),
  FusedDepthwiseConv2D: (inputs, attributes) =>
    finishFused(depthwise(inputs.x.node, inputs.filter.node, attributes), inputs, attributes),
};
