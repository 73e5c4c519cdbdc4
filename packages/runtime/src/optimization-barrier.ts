import * as tf from '@tensorflow/tfjs-core';

/** Whether the backend compiles whole programs, and so could merge equal work. */
export function mergesEqualWork(): boolean {
  return tf.getKernel('OptimizationBarrier', tf.getBackend()) !== undefined;
}

/**
 * The same tensors, of which a compiler does not know so: it must not merge what follows with equal work done before. What
 * is cheaper to compute again than to keep stays computed again. Backends that run operation by operation have no such
 * kernel and need none.
 */
export function optimizationBarrier(tensors: tf.Tensor[]): tf.Tensor[] {
  if (!mergesEqualWork()) return tensors;
  const inputs = Object.fromEntries(tensors.map((tensor, index) => [index, tensor]));
  return tf.engine().runKernel('OptimizationBarrier', inputs) as tf.Tensor[];
}
