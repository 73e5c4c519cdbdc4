import * as tf from '@tensorflow/tfjs-core';
import { defineOperation, type OperationInputs } from './operation.js';

// N = sequences, S = queries, T = keys, H = heads, E = width of a head

/** What attention mixes: queries, keys and values of each head. */
export type FusedAttentionInputs = {
  query: tf.Tensor4D; // [N, S, H, E]
  key: tf.Tensor4D; // [N, T, H, E]
  value: tf.Tensor4D; // [N, T, H, E]
  /** Only the first keyCounts[n] keys of sequence n may be attended; int32 [N], each in [1, T]. Left out, all may be. */
  keyCounts?: tf.Tensor1D;
};

const attention = defineOperation('FusedAttention', (inputs: OperationInputs, { scale }: { scale: number }) => {
  const [queries, keys, values] = [inputs.query, inputs.key, inputs.value].map((x) => headsFirst(x as tf.Tensor));
  let scores = tf.matMul(tf.mul(queries!, scale), keys!, false, true); // [N, H, S, T]
  if (inputs.keyCounts) scores = tf.add(scores, paddingPenalty(inputs.keyCounts as tf.Tensor1D, keys!.shape[2]!));
  return headsFirst(tf.matMul(tf.softmax(scores), values!)) as tf.Tensor4D;
});

/**
 * softmax(scale · query · keyᵀ) · value. Where the backend has a kernel for it (xla) and no gradients are recorded, the scores
 * are never stored.
 *
 * @returns [N, S, H, E]
 */
export function fusedAttention({ keyCounts, ...inputs }: FusedAttentionInputs, scale: number): tf.Tensor4D {
  return attention(keyCounts ? { ...inputs, keyCounts } : inputs, { scale });
}

/** Exchanges the axes of positions and heads. */
function headsFirst(x: tf.Tensor): tf.Tensor {
  return tf.transpose(x, [0, 2, 1, 3]);
}

/** 0 for the first keyCounts[n] keys of sequence n; for others a number so low that softmax gives exactly 0: [N, 1, 1, T]. */
function paddingPenalty(keyCounts: tf.Tensor1D, keys: number): tf.Tensor {
  const isValid = tf.less(tf.range(0, keys, 1, 'int32'), tf.expandDims(keyCounts, 1));
  return tf.mul(tf.sub(tf.reshape(tf.cast(isValid, 'float32'), [-1, 1, 1, keys]), 1), 1e9);
}
