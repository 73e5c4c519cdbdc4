import * as tf from '@tensorflow/tfjs-core';

/** Whether the backend compiles whole programs, and so could merge equal work. */
export function mergesEqualWork(): boolean {
  return tf.getKernel('OptimizationBarrier', tf.getBackend()) !== undefined;
}

/**
 * Returns the tensors unchanged, but opaque to the compiler. Without it, XLA would notice that a recomputed forward pass
 * equals the first one, merge the two, and so keep all activations alive: the opposite of rematerialization. Backends that
 * run operation by operation have no such kernel and need none.
 */
export function optimizationBarrier(tensors: tf.Tensor[]): tf.Tensor[] {
  if (!mergesEqualWork()) return tensors;
  const inputs = Object.fromEntries(tensors.map((tensor, index) => [index, tensor]));
  return tf.engine().runKernel('OptimizationBarrier', inputs) as tf.Tensor[];
}
