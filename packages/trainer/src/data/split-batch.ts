import { mapTreeWithNames, type Tree, treeLeaves } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Cuts a batch into equal parts along the first axis of every tensor, on the host: so each part goes straight to the
 * device that works on it. Tensors that were just made from host arrays are there still, and reading them costs nothing.
 *
 * @throws Error when a tensor's first axis is no multiple of `count`
 */
export function splitBatch(batch: Tree<tf.Tensor>, count: number): Tree<tf.Tensor>[] {
  const values = new Map(treeLeaves(batch).map((tensor) => [tensor, tensor.dataSync()]));
  return Array.from({ length: count }, (_, part) =>
    mapTreeWithNames((tensor, name) => {
      const [pictures = 1, ...rest] = tensor.shape;
      if (pictures % count !== 0) {
        throw new Error(`splitBatch: ${name} [${tensor.shape}] must have a multiple of ${count} rows, one part each`);
      }
      const length = tensor.size / count;
      const rows = values.get(tensor)!.subarray(part * length, (part + 1) * length);
      return tf.tensor(rows, [pictures / count, ...rest], tensor.dtype);
    }, batch),
  );
}
