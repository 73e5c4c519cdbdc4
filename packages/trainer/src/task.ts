import type { Pixels } from '@tb/images';
import type { HostRandom, Key, Tree } from '@tb/runtime';
import type * as tf from '@tensorflow/tfjs-core';
import type { BatchSource } from './data/batches.js';

import type { Parameters } from './optimizer/adamw.js';
import type { LossFunction } from './train-step.js';

/** A model to train and the data to train it on: all that the training loop does not know. */
export type Task<Batch = unknown> = {
  /** New parameters, from a random key or from a file. */
  init(key: Key): Promise<Parameters> | Parameters;
  /** Tensors that the loss reads and training does not change. */
  frozen: Tree<tf.Tensor>;
  loss: LossFunction;
  openBatches(firstStep: number): BatchSource<Batch>;
  /**
   * The first axis of every tensor counts the pictures: the batch is cut along it, for several devices or micro-batches.
   *
   * @param random - the step's own numbers, for what is drawn on the host, such as masks
   */
  toTensors(batch: Batch, random: HostRandom): Tree<tf.Tensor>;
  /** Numbers about the averaged parameters on data that training does not see. */
  validate?(ema: Parameters): Promise<Record<string, number>>;
  /** A picture of what the averaged parameters can do. */
  draw?(ema: Parameters): Promise<Pixels>;
};
