import * as tf from '@tensorflow/tfjs-core';

/**
 * The tensor rounded to bfloat16 and kept so, where the engine stores it (xla): half the memory, and half the time where
 * reading it is what takes the time. It still is a float32 tensor to every operation. Elsewhere the tensor as it is.
 *
 * @returns a tensor of its own, which the caller disposes
 */
export function storeBfloat16<X extends tf.Tensor>(x: X): X {
  if (!tf.getKernel('StorageBfloat16', tf.getBackend())) return tf.clone(x);
  return tf.engine().runKernel('StorageBfloat16', { x }) as X;
}

/**
 * The tensor kept in float32 where the engine would store it in bfloat16: for sums of many, and for
 * functions whose argument must keep its digits. Elsewhere the tensor as it is.
 *
 * @returns a tensor of its own, which the caller disposes
 */
export function storeFloat32<X extends tf.Tensor>(x: X): X {
  if (!tf.getKernel('StorageFloat32', tf.getBackend())) return tf.clone(x);
  return tf.engine().runKernel('StorageFloat32', { x }) as X;
}
