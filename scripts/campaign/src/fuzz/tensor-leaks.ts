import * as tf from '@tensorflow/tfjs-core';

/** Runs `read`, and throws a TypeError if tensors are left behind, whether it fails or not. */
export async function withoutLeaks<Value>(read: () => Promise<Value>): Promise<Value> {
  const before = tf.memory().numTensors;
  const outcome = await read().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  const left = tf.memory().numTensors - before;
  if (left > 0) throw new TypeError(`[object Tensor]: ${left} tensors are left behind`);
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}
