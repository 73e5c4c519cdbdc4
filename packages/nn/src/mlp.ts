import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { gelu } from './activations.js';
import { dropout } from './dropout.js';
import { applyLinear, initLinear, type Linear, linearShapes } from './linear.js';
import type { ShapesOf } from './params.js';

// D = width, M = hidden width

/** The feed-forward half of a transformer block, by timm's names. */
export type Mlp = {
  fc1: Linear; // D -> M
  fc2: Linear; // M -> D
};

/** Shapes of an MLP's parameters. */
export function mlpShapes(width: number, hiddenWidth: number): ShapesOf<Mlp> {
  return { fc1: linearShapes(width, hiddenWidth), fc2: linearShapes(hiddenWidth, width) };
}

/** Xavier-uniform weights, zero biases. */
export function initMlp(key: Key, width: number, hiddenWidth: number): Mlp {
  return tf.tidy(() => {
    const [first, second] = splitKey(key, 2);
    return { fc1: initLinear(first, width, hiddenWidth), fc2: initLinear(second, hiddenWidth, width) };
  });
}

export type MlpOptions = {
  /** Dropout after the activation and after the output, with a key for either; in training only. */
  dropout?: { rate: number; keys: readonly [Key, Key] };
};

/**
 * fc2(gelu(fc1(x))).
 *
 * @param x - [..., D]
 * @returns [..., D]
 */
export function applyMlp<X extends tf.Tensor>(params: Mlp, x: X, options: MlpOptions = {}): X {
  return tf.tidy(() => {
    const hidden = gelu(applyLinear(params.fc1, x)); // [..., M]
    if (!options.dropout) return applyLinear(params.fc2, hidden);
    const { rate, keys } = options.dropout;
    return dropout(applyLinear(params.fc2, dropout(hidden, rate, keys[0])), rate, keys[1]);
  });
}
