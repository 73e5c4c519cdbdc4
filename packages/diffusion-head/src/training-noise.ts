import { foldIn, type Key, normal, randomIntegers } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { trainingSteps } from './schedule.js';

// N = images, M = predicted positions, R = rows, C = channels

/**
 * Makes a key for each position of each image [N·M, 2]. A position's numbers do not depend on how many positions there are, which
 * those of `normal` would: its pairs depend on the length of its rows.
 */
export function positionKeys(keys: Key, positions: number): Key {
  return tf.tidy(() => {
    const folded = foldIn(keys, tf.range(0, positions, 1, 'int32')); // [M, N, 2]
    return tf.reshape(tf.transpose(folded, [1, 0, 2]), [keys.shape[0] * positions, 2]);
  });
}

/** Which rows a training step makes of its positions. */
export type TrainingNoiseShape = { positions: number; timestepsPerPosition: number; channels: number };

/**
 * Draws the timesteps and the noise of a training step.
 *
 * @param keys - one per image [N, 2]: what is drawn for an image depends only on its own key
 * @returns for each position `timestepsPerPosition` rows, one after another: timesteps int32 [R] and noise [R, C]
 */
export function drawTrainingNoise(
  keys: Key,
  { positions, timestepsPerPosition: count, channels }: TrainingNoiseShape,
): { timesteps: tf.Tensor1D; noise: tf.Tensor2D } {
  return tf.tidy(() => {
    const rows = keys.shape[0] * positions;
    const timesteps = randomIntegers(positionKeys(foldIn(keys, 0), positions), [rows, count], 0, trainingSteps);
    const noise = normal(positionKeys(foldIn(keys, 1), positions), [rows, count * channels]);
    return {
      timesteps: tf.reshape<tf.Rank.R1>(timesteps, [rows * count]),
      noise: tf.reshape<tf.Rank.R2>(noise, [rows * count, channels]),
    };
  });
}
