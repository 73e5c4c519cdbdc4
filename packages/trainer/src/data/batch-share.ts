// Which images of a batch a process works on, where several processes train one model.
import {
  mapTreeWithNames,
  oneProcess,
  type ProcessGroup,
  replicasOfProcess,
  type TensorTree,
  treeLeaves,
} from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { Parallelism } from '../train-step.js';

/** The part of every batch that a process reads and works on. */
export type BatchShare = {
  /** Rows of a batch of so many images that this process has, in the order in which it has them. */
  rowsOf(images: number): readonly number[];
};

/** All of every batch. */
export const completeBatch: BatchShare = { rowsOf: (images) => Array.from({ length: images }, (_, row) => row) };

/**
 * The rows that the devices of one process work on. A batch is cut into devices · microBatches equal parts; part p is for
 * device p modulo devices, and a process has consecutive devices.
 *
 * @throws Error (from `rowsOf`) when a batch cannot be cut into equal parts
 */
export function shareOfBatch({ devices, microBatches }: Parallelism, processes: ProcessGroup = oneProcess): BatchShare {
  if (processes.count === 1) return completeBatch;
  const own = replicasOfProcess('shareOfBatch', processes, devices);
  return {
    rowsOf(images) {
      const part = images / (devices * microBatches);
      if (!Number.isInteger(part)) {
        throw new Error(`shareOfBatch: a batch must be a multiple of ${devices * microBatches} images, got ${images}`);
      }
      return Array.from({ length: microBatches }, (_, pass) => pass * devices + processes.index * own).flatMap(
        (first) => Array.from({ length: own * part }, (_, row) => first * part + row),
      );
    },
  };
}

/**
 * Takes a process's rows of tensors that were drawn for a complete batch, so that what is drawn for an image does not
 * depend on who works on it. Call it inside `tf.tidy`; the tensors themselves come back where the share is the batch.
 *
 * @param images - of the complete batch: the first axis of every tensor
 */
export function takeRows<T extends TensorTree>(tree: T, share: BatchShare, images: number): T {
  if (share === completeBatch) return tree;
  const rows = share.rowsOf(images);
  return mapTreeWithNames((tensor) => {
    const [, ...rest] = tensor.shape;
    const length = tensor.size / images;
    const values = tensor.dataSync();
    const taken = values.slice(0, rows.length * length);
    for (const [place, row] of rows.entries()) {
      taken.set(values.subarray(row * length, (row + 1) * length), place * length);
    }
    return tf.tensor(taken, [rows.length, ...rest], tensor.dtype);
  }, tree);
}

/**
 * Checks that a task made tensors of its share only: with other rows, the devices would make a wrong batch.
 *
 * @throws Error naming a tensor that has another number of rows
 */
export function assertShare(tensors: TensorTree, share: BatchShare, images: number): void {
  if (share === completeBatch) return;
  const rows = share.rowsOf(images).length;
  for (const { shape } of treeLeaves(tensors)) {
    if (shape[0] === rows) continue;
    throw new Error(
      `train: toTensors must make tensors of the ${rows} images of this process's share, got [${shape}]; see BatchShare`,
    );
  }
}
