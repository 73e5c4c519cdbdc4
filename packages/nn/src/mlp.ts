import * as tf from '@tensorflow/tfjs-core';
import { gelu } from './activations.js';
import { dropout, type MlpDropout } from './dropout.js';
import { applyLinear, type Linear, linearParameters } from './linear.js';
import type { Declaration } from './params.js';

// D = width, F = hidden width

/** The feed-forward half of a transformer block, by timm's names. */
export type Mlp = {
  fc1: Linear; // D -> F
  fc2: Linear; // F -> D
};

/** Declares an MLP; its linears are xavier-uniform. */
export function mlpParameters(width: number, hiddenWidth: number): Declaration<Mlp> {
  return { fc1: linearParameters(width, hiddenWidth), fc2: linearParameters(hiddenWidth, width) };
}

/** Options of `applyMlp`. */
export type MlpOptions = {
  /** Dropout after the activation and after the output; in training only. */
  dropout?: MlpDropout;
};

/**
 * Computes fc2(gelu(fc1(x))).
 *
 * @param x - [..., D]
 * @returns [..., D]
 */
export function applyMlp<X extends tf.Tensor>(params: Mlp, x: X, options: MlpOptions = {}): X {
  return tf.tidy(() => {
    const hidden = gelu(applyLinear(params.fc1, x)); // [..., F]
    if (!options.dropout) return applyLinear(params.fc2, hidden);
    const { rate, keys } = options.dropout;
    return dropout(applyLinear(params.fc2, dropout(hidden, rate, keys[0])), rate, keys[1]);
  });
}
