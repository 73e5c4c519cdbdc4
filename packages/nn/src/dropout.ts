import { dropElements, type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertRate } from './assert.js';

/** Dropout of a training step in a stack of transformer blocks. */
export type Dropout = {
  /** Rate for the attention weights, in [0, 1). */
  attention: number;
  /** Rate for the attention's output and inside the MLP, in [0, 1). */
  projection: number;
  /** Decides what is dropped. */
  key: Key;
};

/** Dropout of one attention layer: rates for its weights and for its output, and a key for each. */
export type AttentionDropout = { attention: number; projection: number; keys: readonly [Key, Key] };

/** Dropout of one MLP: one rate after the activation and after the output, and a key for each. */
export type MlpDropout = { rate: number; keys: readonly [Key, Key] };

/** Dropout of one transformer block. */
export type BlockDropout = { attention: AttentionDropout; mlp: MlpDropout };

/**
 * Zeroes each element with probability `rate` and scales the others by 1 / (1 − rate). In evaluation, do not call it.
 *
 * @param rate - in [0, 1); 0 returns x itself
 * @param key - decides which elements are dropped: the same key gives the same mask
 * @throws RangeError if `rate` is outside [0, 1)
 */
export function dropout<X extends tf.Tensor>(x: X, rate: number, key: Key): X {
  assertRate('dropout', 'rate', rate);
  return rate === 0 ? tf.clone(x) : dropElements(x, key, 1 - rate);
}

/**
 * Derives the dropout of every block of a stack from one key. All keys are derived at once: a compiler has as much work
 * with each call of the cipher behind them as with a block.
 *
 * @returns one per block; an empty list without dropout
 */
export function dropoutOfBlocks(dropout: Dropout | undefined, blocks: number): BlockDropout[] {
  if (!dropout) return [];
  const { attention, projection, key } = dropout;
  const keys = splitKey(key, 4 * blocks);
  return Array.from({ length: blocks }, (_, block) => {
    const [weights, output, hidden, mlpOutput] = keys.slice(4 * block);
    return {
      attention: { attention, projection, keys: [weights, output] },
      mlp: { rate: projection, keys: [hidden, mlpOutput] },
    };
  });
}
