import * as tf from '@tensorflow/tfjs-core';
import type { Prediction } from './diffusion-head.js';
import type { NoiseSchedule } from './schedule.js';

// R = rows (values), C = channels
//
// The step from a noisy value x_t to x_{t−1}: the posterior q(x_{t−1} | x_t, x_0), and what the network predicts of it. The loss
// compares the two, and sampling draws from the second.

/** Reads a table of a schedule: a scalar for one step, [R, 1] for one step of each row. */
export type TableReader = (name: Exclude<keyof NoiseSchedule, 'timesteps'>) => tf.Tensor;

/** Reads the tables of a schedule at a step, an int32 scalar, or at several [R]. */
export function tableReader(schedule: NoiseSchedule, steps: tf.Tensor): TableReader {
  return (name) => tf.gather<tf.Tensor>(tf.tensor1d(Float32Array.from(schedule[name])), steps as tf.Tensor1D);
}

/** Computes the mean of the posterior of a value and its noisy version [R, C]. */
export function posteriorMean(at: TableReader, value: tf.Tensor, noisy: tf.Tensor2D): tf.Tensor2D {
  return tf.add(tf.mul(at('meanOfValue'), value), tf.mul(at('meanOfNoisy'), noisy));
}

/** Computes the posterior that the network predicts: its mean, and ln of its variance [R, C]. */
export function predictedPosterior(at: TableReader, noisy: tf.Tensor2D, { noise, variance }: Prediction) {
  const value = tf.sub(tf.mul(at('inverseSignal'), noisy), tf.mul(at('inverseNoise'), noise));
  return { mean: posteriorMean(at, value, noisy), logVariance: interpolateLogVariance(at, variance) };
}

/** ln of the variance that the network chose, between the least (−1) and the largest (1). */
function interpolateLogVariance(at: TableReader, variance: tf.Tensor2D): tf.Tensor2D {
  const share = tf.div(tf.add(variance, 1), 2);
  return tf.add(tf.mul(share, at('largestLogVariance')), tf.mul(tf.sub(1, share), at('leastLogVariance')));
}
