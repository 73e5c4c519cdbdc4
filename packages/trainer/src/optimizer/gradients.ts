import { flattenTree, mapTree, type Tree, treeLeaves } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

/** A scalar to minimize, and scalars worth showing beside it. */
export type LossResult = { loss: tf.Scalar; metrics?: Record<string, tf.Scalar> };

/**
 * Value and gradients of a loss over a parameter tree. Pure; runs inside `jit`. A parameter that the loss does not
 * use gets a zero gradient.
 */
export function valueAndGradients(
  lossOf: (params: Tree<tf.Tensor>) => LossResult,
  params: Tree<tf.Tensor>,
): { loss: tf.Scalar; metrics: Record<string, tf.Scalar>; gradients: Tree<tf.Tensor> } {
  const leaves = treeLeaves(params);
  const kept: Record<string, tf.Scalar> = {};
  const forward = () => {
    const { loss, metrics = {} } = lossOf(params);
    // The engine frees all of the forward pass but the loss.
    for (const [name, value] of Object.entries(metrics)) kept[name] = tf.keep(value);
    return loss;
  };
  const { value, grads } = tf.engine().gradients(forward, leaves, undefined, true);
  const metrics = Object.fromEntries(
    Object.entries(kept).map(([name, metric]) => {
      const copy = tf.clone(metric);
      metric.dispose();
      return [name, copy as tf.Scalar];
    }),
  );
  let next = 0;
  const gradients = mapTree((leaf) => grads[next++] ?? tf.zerosLike(leaf), params);
  return { loss: value as tf.Scalar, metrics, gradients };
}

/** Square root of the sum of squares of all elements of all leaves; added in the order of names, so that a tree read from a file has the same norm to the last bit. */
export function globalNorm(tree: Tree<tf.Tensor>): tf.Scalar {
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
export function clipByGlobalNorm(
  gradients: Tree<tf.Tensor>,
  maxNorm: number,
): { gradients: Tree<tf.Tensor>; norm: tf.Scalar } {
  const norm = globalNorm(gradients);
  if (maxNorm === Number.POSITIVE_INFINITY) return { gradients, norm };
  const coefficient = tf.minimum(tf.div(maxNorm, tf.add(norm, 1e-6)), 1);
  return { gradients: mapTree((gradient) => tf.mul(gradient, coefficient), gradients), norm };
}
