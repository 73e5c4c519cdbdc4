import * as tf from '@tensorflow/tfjs-core';
import type { XlaBackend } from '../backend.js';
import { elementTypeOf } from '../backend.js';
import type { Node } from '../graph/node.js';

/** A tensor inside a kernel: its graph node, and the type that TensorFlow.js gives it. */
export type Value = { node: Node; dtype: tf.DataType };

/** Inputs by name; those of kernels that take a list (Concat, AddN, Pack) have the names 0, 1, … */
export type Inputs = Record<string, Value>;

/**
 * One TensorFlow.js kernel as operations on graph nodes.
 *
 * @returns a node alone has the dtype that belongs to its storage (f32 and bf16: float32; i32: int32; i1: bool)
 */
// biome-ignore lint/suspicious/noExplicitAny: attributes are whatever TensorFlow.js passes to that kernel.
export type Kernel = (inputs: Inputs, attributes: any) => Node | Node[];

export type KernelTable = Record<string, Kernel>;

const names = new Set<string>();

/**
 * Adds a kernel to the `xla` backend, or replaces one:
 *
 *     defineKernel('Cosh', ({ x }) => …operations on x.node…);
 */
export function defineKernel(kernelName: string, kernel: Kernel): void {
  if (names.has(kernelName)) tf.unregisterKernel(kernelName, 'xla');
  names.add(kernelName);
  tf.registerKernel({
    kernelName,
    backendName: 'xla',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const xla = backend as XlaBackend;
      const result = kernel(valuesOf(inputs, xla), attrs ?? {});
      const infos = Array.isArray(result) ? result.map((node) => tensorInfo(node, xla)) : tensorInfo(result, xla);
      xla.afterKernel();
      return infos;
    },
  });
}

/** Names of all kernels defined so far. */
export function definedKernels(): string[] {
  return [...names];
}

function valuesOf(inputs: tf.NamedTensorInfoMap, backend: XlaBackend): Inputs {
  const values: Inputs = {};
  for (const [name, info] of Object.entries(inputs)) {
    if (info) values[name] = { node: backend.nodeOf(info), dtype: info.dtype };
  }
  return values;
}

const dtypeOf: Partial<Record<string, tf.DataType>> = { f32: 'float32', bf16: 'float32', i32: 'int32', i1: 'bool' };

function tensorInfo(node: Node, backend: XlaBackend): tf.TensorInfo {
  const dtype = dtypeOf[node.type.type];
  if (!dtype) throw new Error(`xla backend: a kernel gave ${node.type.type}, which no tensor has`);
  return { dataId: backend.hold(node, dtype), shape: [...node.type.shape], dtype };
}

/**
 * A kernel that gives its input in another shape, which costs nothing: the tensors share one dataId, as everywhere in
 * TensorFlow.js.
 */
export function defineView(kernelName: string, shapeOf: (input: tf.TensorInfo, attributes: never) => number[]): void {
  names.add(kernelName);
  tf.registerKernel({
    kernelName,
    backendName: 'xla',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const [input] = Object.values(inputs) as tf.TensorInfo[];
      (backend as XlaBackend).incRef(input.dataId);
      return { dataId: input.dataId, shape: shapeOf(input, attrs as never), dtype: input.dtype };
    },
  });
}

/** Registers a kernel that throws, in place of one that is missing. */
export function defineMissing(kernelName: string): void {
  if (names.has(kernelName)) return;
  tf.registerKernel({
    kernelName,
    backendName: 'xla',
    kernelFunc: () => {
      throw new Error(
        `xla backend: the kernel ${kernelName} is missing; add it with defineKernel('${kernelName}', …) from ` +
          '@tb/xla, in terms of the operations that it exports as hlo',
      );
    },
  });
  names.add(kernelName);
}

export { elementTypeOf };
