import { type DType, fromFloat32, type HostTensor, toFloat32 } from '@tb/io';
import { flattenTree, type Tree, unflattenTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

export type HostTensors = Record<string, HostTensor>;

/** Copies a tree of float32 tensors to the host, under its dotted names. */
export async function readTree(tree: Tree<tf.Tensor>, dtype: DType = 'F32'): Promise<HostTensors> {
  const tensors: HostTensors = Object.create(null);
  for (const [name, tensor] of Object.entries(flattenTree(tree))) {
    const values = Float32Array.from(await tensor.data());
    tensors[name] = { dtype, shape: [...tensor.shape], data: fromFloat32(values, dtype) };
  }
  return tensors;
}

/** Makes float32 tensors, in the tree that the dotted names describe. */
export function treeFromHost(tensors: HostTensors): Tree<tf.Tensor> {
  return unflattenTree(
    Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => [name, tf.tensor(toFloat32(tensor), tensor.shape, 'float32')]),
    ),
  );
}
