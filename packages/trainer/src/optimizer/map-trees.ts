import { flattenTree, type Tree, unflattenTree } from '@tb/runtime';
import type * as tf from '@tensorflow/tfjs-core';

/**
 * Applies `fn` to the leaves that have the same name in every tree.
 *
 * @throws when the trees do not have the same names
 */
export function mapTrees<Result extends tf.Tensor>(
  trees: readonly Tree<tf.Tensor>[],
  fn: (leaves: tf.Tensor[], name: string) => Result,
): Tree<Result> {
  const [first, ...others] = trees.map((tree) => flattenTree(tree));
  const names = Object.keys(first);
  for (const other of others) {
    const missing = names.find((name) => !(name in other));
    const surplus = Object.keys(other).find((name) => !(name in first));
    if (missing !== undefined || surplus !== undefined) {
      const difference = missing !== undefined ? `lacks ${missing}` : `has ${surplus} besides`;
      throw new Error(`mapTrees: trees must have the same leaves, one ${difference}`);
    }
  }
  return unflattenTree(
    Object.fromEntries(names.map((name) => [name, fn([first[name], ...others.map((other) => other[name])], name)])),
  );
}
