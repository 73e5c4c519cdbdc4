import * as tf from '@tensorflow/tfjs-core';
import { composedKernel, type KernelAttributes, replaceKernel } from '../composed-kernel.js';

// tfjs-node's convolutions take only 'same' and 'valid' padding. Other paddings are applied before a 'valid' convolution.

type Sides = [from: number, to: number];
type Shape4D = [number, number, number, number];

/** Makes Conv2D and its gradients take paddings given in numbers. */
export function registerConvolutions(): void {
  whereNumbersPad('Conv2D', ({ x, filter }, attributes) => {
    const padded = tf.pad(x, paddingOf(x.shape, filter.shape, attributes));
    return run('Conv2D', { x: padded, filter }, attributes);
  });
  whereNumbersPad('Conv2DBackpropFilter', ({ x, dy }, attributes) => {
    const padded = tf.pad(x, paddingOf(x.shape, attributes.filterShape, attributes));
    return run('Conv2DBackpropFilter', { x: padded, dy }, attributes);
  });
  whereNumbersPad('Conv2DBackpropInput', ({ dy, filter }, attributes) => {
    const { inputShape } = attributes;
    const padding = paddingOf(inputShape, filter.shape, attributes);
    const paddedShape = padding.map(([from, to], axis) => from + inputShape[axis] + to);
    const gradient = run('Conv2DBackpropInput', { dy, filter }, { ...attributes, inputShape: paddedShape });
    return tf.slice(
      gradient,
      padding.map(([from]) => from),
      inputShape,
    );
  });
}

function whereNumbersPad(kernelName: string, compute: Parameters<typeof composedKernel>[0]): void {
  const original = tf.getKernel(kernelName, 'tensorflow').kernelFunc;
  const padded = composedKernel(compute);
  replaceKernel('tensorflow', kernelName, (call) => {
    const { pad } = call.attrs as KernelAttributes;
    return (typeof pad === 'string' ? original : padded)(call);
  });
}

function run(kernelName: string, inputs: tf.NamedTensorMap, attributes: KernelAttributes): tf.Tensor {
  return tf.engine().runKernel(kernelName, inputs, { ...attributes, pad: 'valid' });
}

function paddingOf(
  input: number[],
  filter: number[],
  { strides, pad, dimRoundingMode, dataFormat, dilations = 1 }: KernelAttributes,
): Sides[] {
  if (dataFormat !== 'NHWC') throw new Error(`conv2d: dataFormat must be NHWC, got ${dataFormat}`);
  const { padInfo } = tf.backend_util.computeConv2DInfo(
    input as Shape4D,
    filter as Shape4D,
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  return [
    [0, 0],
    [padInfo.top, padInfo.bottom],
    [padInfo.left, padInfo.right],
    [0, 0],
  ];
}
