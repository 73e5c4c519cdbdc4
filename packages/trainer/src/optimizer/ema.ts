import { mapTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { Parameters } from './adamw.js';

/** Exponential moving average of the parameters, `average * rate + params * (1 - rate)`; Tab. 4 uses 0.9999. */
export function updateEma(average: Parameters, params: Parameters, rate: number): Parameters {
  return mapTree((old, value) => tf.add(tf.mul(old, rate), tf.mul(value, 1 - rate)), average, params);
}
