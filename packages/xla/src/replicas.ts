import { mapTree, type Tree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { XlaBackend } from './backend.js';
import type { DeviceBuffer, Executor } from './executor.js';
import { makeLeaf } from './graph/node.js';

/** The array on the device of a replica: itself, or a copy that the caller frees. */
export function replicaBuffer(executor: Executor, buffer: DeviceBuffer, replica: number) {
  if (buffer.device === replica) return { buffer, isCopy: false };
  const copy = executor.upload(executor.downloadSync(buffer), buffer.spec, replica);
  return { buffer: copy, isCopy: true };
}

/**
 * One copy of a tree for each device, as `jit` with `replicas` takes its arguments. The first keeps to device 0; all
 * belong to the caller.
 */
export function replicate<T extends Tree<tf.Tensor>>(tree: T, replicas: number): T[] {
  const backend = tf.backend() as XlaBackend;
  return Array.from({ length: replicas }, (_, replica) =>
    mapTree(tree as Tree<tf.Tensor>, (tensor) => {
      const node = backend.nodeOf(tensor);
      const [buffer] = backend.lazy.materialize([node]);
      const own =
        replica === buffer.device ? backend.lazy.copy(buffer) : replicaBuffer(backend.executor, buffer, replica).buffer;
      const dataId = backend.hold(makeLeaf(node.type, { buffer: own }), tensor.dtype);
      return tf.engine().makeTensorFromTensorInfo({ dataId, shape: tensor.shape, dtype: tensor.dtype });
    }),
  ) as T[];
}

/**
 * The mean of each tensor over all replicas of the program being traced; the tensors themselves outside of one, or with
 * a single replica. Meant for gradients and metrics.
 */
export function allReduceMean<T extends Tree<tf.Tensor>>(tree: T): T {
  return mapTree(tree as Tree<tf.Tensor>, (x) => tf.engine().runKernel('AllReduceMean', { x }) as tf.Tensor) as T;
}
