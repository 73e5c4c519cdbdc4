import * as tf from '@tensorflow/tfjs-core';

/**
 * Rounds a tensor to bfloat16 and stores it so, if the backend can (xla): that takes half the memory, and half the time of
 * operations that are bound by reading it. To every operation it is still a float32 tensor. Other backends copy it.
 *
 * @returns a new tensor, which the caller disposes
 */
export function storeBfloat16<X extends tf.Tensor>(x: X): X {
  if (!tf.getKernel('StorageBfloat16', tf.getBackend())) return tf.clone(x);
  return tf.engine().runKernel('StorageBfloat16', { x }) as X;
}

/**
 * Stores a tensor in float32 where the backend would store it in bfloat16: for sums of many values, and for functions whose
 * argument must keep its digits. Other backends copy it.
 *
 * @returns a new tensor, which the caller disposes
 */
export function storeFloat32<X extends tf.Tensor>(x: X): X {
  if (!tf.getKernel('StorageFloat32', tf.getBackend())) return tf.clone(x);
  return tf.engine().runKernel('StorageFloat32', { x }) as X;
}
