import * as tf from '@tensorflow/tfjs-core';

/**
 * The tensor as the program being compiled stores activations: bfloat16 at precision `bf16`, else as it is. What a norm
 * computed in float32 goes on in what the products after it read.
 */
export function storeActivation<X extends tf.Tensor>(x: X): X {
  return tf.getKernel('StorageActivation', tf.getBackend()) ? run('StorageActivation', x) : x;
}

/**
 * The tensor rounded to bfloat16 and kept so, where the engine stores it (xla): half the memory, and half the time where
 * reading it is what takes the time. It still is a float32 tensor to every operation. Elsewhere the tensor as it is.
 *
 * @returns a tensor of its own, which the caller disposes
 */
export function storeBfloat16<X extends tf.Tensor>(x: X): X {
  return tf.getKernel('StorageBfloat16', tf.getBackend()) ? run('StorageBfloat16', x) : tf.clone(x);
}

function run<X extends tf.Tensor>(kernel: string, x: X): X {
  return tf.engine().runKernel(kernel, { x }) as X;
}
