import { flattenTree, mapTree, type TensorTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Square root of the sum of squares of all elements of all leaves. They are added in the order of names, so that a tree
 * read from a file has the same norm to the last bit.
 */
export function globalNorm(tree: TensorTree): tf.Scalar {
  const flat = flattenTree(tree);
  const squares = Object.keys(flat)
    .sort()
    .map((name) => tf.sum(tf.square(flat[name])));
  return tf.sqrt(tf.addN(squares)) as tf.Scalar;
}

/**
 * Scales all gradients by `min(1, maxNorm / (norm + 1e-6))`, as the reference (torch's `clip_grad_norm_`) does.
 *
 * @param maxNorm - Infinity leaves the gradients as they are
 * @returns the clipped gradients and the norm before clipping
 */
export function clipByGlobalNorm<Gradients extends TensorTree>(
  gradients: Gradients,
  maxNorm: number,
): { gradients: Gradients; norm: tf.Scalar } {
  const norm = globalNorm(gradients);
  if (maxNorm === Number.POSITIVE_INFINITY) return { gradients, norm };
  const coefficient = tf.minimum(tf.div(maxNorm, tf.add(norm, 1e-6)), 1);
  return { gradients: mapTree((gradient) => tf.mul(gradient, coefficient), gradients), norm };
}
