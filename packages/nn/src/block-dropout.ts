import { type Key, splitKey } from '@tb/runtime';
import type { AttentionOptions } from './attention.js';
import type { MlpOptions } from './mlp.js';

/** Dropout of a training step in a stack of transformer blocks. */
export type Dropout = {
  /** Rate for the attention weights, in [0, 1). */
  attention: number;
  /** Rate for the attention's output and inside the MLP, in [0, 1). */
  projection: number;
  /** Decides what is dropped. */
  key: Key;
};

/** The part of one block's attention and of its MLP. */
export type BlockDropout = {
  attention: NonNullable<AttentionOptions['dropout']>;
  mlp: NonNullable<MlpOptions['dropout']>;
};

/**
 * The dropout of every block of a stack. All keys are derived at once: to a compiler each call of the cipher behind them
 * is as much work as a block.
 *
 * @returns one per block; none where there is no dropout
 */
export function dropoutOfBlocks(dropout: Dropout | undefined, blocks: number): BlockDropout[] {
  if (!dropout) return [];
  const { attention, projection, key } = dropout;
  const keys = splitKey(key, 4 * blocks);
  return Array.from({ length: blocks }, (_, block) => {
    const [weights, output, hidden, fed] = keys.slice(4 * block);
    return {
      attention: { attention, projection, keys: [weights, output] },
      mlp: { rate: projection, keys: [hidden, fed] },
    };
  });
}
