import * as tf from '@tensorflow/tfjs-core';
import { mapTree, type Tree } from '../tree.js';
import { assertDevices, currentSupport } from './jit.js';

/**
 * Copies a tree to each device that this process contributes to `replicas` of them, as `jit` with `replicas` takes its
 * arguments. The caller owns all of them; the copy on the device where the values already are shares their memory. Each
 * process has its own values: give all of them the same.
 *
 * @param replicas - counted over all processes
 * @throws Error when there are fewer devices than `replicas`
 */
export function replicate<T extends Tree<tf.Tensor>>(tree: T, replicas: number): T[] {
  const length = assertDevices('replicate', replicas);
  const { toDevice } = currentSupport();
  return Array.from({ length }, (_, device) => toDevice(tree, device));
}

/**
 * The mean of each tensor over all devices that run the jitted function which calls this. With one device, and outside of
 * `jit`, it returns the tensors themselves. It is for gradients and metrics, and has no gradient itself.
 */
export function allReduceMean<T extends Tree<tf.Tensor>>(tree: T): T {
  if (!tf.getKernel('AllReduceMean', tf.getBackend())) return tree;
  return mapTree((x) => tf.engine().runKernel('AllReduceMean', { x }) as tf.Tensor, tree);
}
