/** On which device a value lies, and how it gets to another. */
import { mapTree, type Tree, treeLeaves } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { XlaBackend } from './backend.js';
import type { DeviceBuffer, Executor } from './executor.js';
import { makeLeaf, type Node } from './graph/node.js';

/** Small arrays keep their host copy, so that reading them back, or giving them to further devices, costs nothing. */
const HOST_COPIES_BELOW = 1024;

/** An array on the device where it is wanted; a copy is the caller's to free. */
export type Placed = { buffer: DeviceBuffer; isCopy: boolean };

/**
 * The value of a node that is computed: its own array, which a value from the host gets here, on the device that asks
 * first; or a copy of it by way of the host.
 */
export function placeOn(executor: Executor, node: Node, device: number): Placed {
  if (!node.buffer) {
    node.buffer = executor.upload(node.host!, node.type, device);
    if (node.host!.length > HOST_COPIES_BELOW) node.host = undefined;
  }
  if (node.buffer.device === device) return { buffer: node.buffer, isCopy: false };
  return { buffer: copyTo(executor, node, device), isCopy: true };
}

/** The tree with its values on a device; see `JitEngine` of @tb/runtime. */
export function toDevice<T extends Tree<tf.Tensor>>(tree: T, device: number): T {
  const backend = tf.backend() as XlaBackend;
  const nodes = treeLeaves(tree).map((tensor) => backend.nodeOf(tensor));
  backend.lazy.compute(nodes); // all at once
  let next = 0;
  return mapTree((tensor) => {
    const node = nodes[next++];
    if ((node.buffer?.device ?? 0) === device) return tf.clone(tensor);
    const leaf = makeLeaf(node.type, { buffer: copyTo(backend.executor, node, device) });
    const { shape, dtype } = tensor;
    return tf.engine().makeTensorFromTensorInfo({ dataId: backend.hold(leaf, dtype), shape, dtype });
  }, tree);
}

function copyTo(executor: Executor, { host, buffer, type }: Node, device: number): DeviceBuffer {
  return executor.upload(host ?? executor.downloadSync(buffer!), type, device);
}
