import type * as tf from '@tensorflow/tfjs-core';

/** One step of a network, with its name in the official checkpoint. */
export type Stage = { name: string; apply: (x: tf.Tensor4D) => tf.Tensor4D };

/** Runs the stages one after another. */
export function runStages(stages: Iterable<Stage>, input: tf.Tensor4D): tf.Tensor4D {
  let x = input;
  for (const stage of stages) x = stage.apply(x);
  return x;
}

export function repeat<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
