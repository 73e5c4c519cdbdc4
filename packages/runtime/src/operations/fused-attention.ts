import * as tf from '@tensorflow/tfjs-core';

// N = sequences, S = queries, K = keys, H = heads, E = width of a head

export type FusedAttentionInputs = {
  query: tf.Tensor4D; // [N, S, H, E]
  key: tf.Tensor4D; // [N, K, H, E]
  value: tf.Tensor4D; // [N, K, H, E]
  /** Only the first keyCounts[n] keys of sequence n may be attended; int32 [N], each in [1, K]. Left out, all may be. */
  keyCounts?: tf.Tensor1D;
};

/**
 * softmax(scale · query · keyᵀ) · value as one kernel that never stores the scores, where the engine has one (xla). It has
 * no gradient, so it is for evaluation and sampling.
 *
 * @returns [N, S, H, E]; undefined where the engine has no such kernel or records gradients, and the caller composes it
 */
export function fusedAttention({ keyCounts, ...inputs }: FusedAttentionInputs, scale: number): tf.Tensor4D | undefined {
  const engine = tf.engine();
  if (engine.state.gradientDepth > 0 || !tf.getKernel('FusedAttention', engine.backendName)) return undefined;
  return engine.runKernel('FusedAttention', keyCounts ? { ...inputs, keyCounts } : inputs, { scale }) as tf.Tensor4D;
}
