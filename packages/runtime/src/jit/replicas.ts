import * as tf from '@tensorflow/tfjs-core';
import { mapTree, type Tree } from '../tree.js';
import { assertDevices, currentSupport } from './jit.js';

/**
 * One tree for each of the first devices, as `jit` with `replicas` takes its arguments. All belong to the caller; that of
 * the device where the values are already shares their memory with `tree`.
 *
 * @throws Error when there are fewer devices than `replicas`
 */
export function replicate<T extends Tree<tf.Tensor>>(tree: T, replicas: number): T[] {
  assertDevices('replicate', replicas);
  const { toDevice } = currentSupport();
  return Array.from({ length: replicas }, (_, device) => toDevice(tree, device));
}

/**
 * The mean of each tensor over all devices that run the jitted function it stands in; the tensors themselves where that is
 * one, and outside of `jit`. Meant for gradients and metrics: it has no gradient itself.
 */
export function allReduceMean<T extends Tree<tf.Tensor>>(tree: T): T {
  if (!tf.getKernel('AllReduceMean', tf.getBackend())) return tree;
  return mapTree((x) => tf.engine().runKernel('AllReduceMean', { x }) as tf.Tensor, tree);
}
