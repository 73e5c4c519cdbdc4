import {
  type Attention,
  applyAttention,
  applyLayerNorm,
  applyMlp,
  attentionShapes,
  type BlockDropout,
  type Dropout,
  dropoutOfBlocks,
  initAttention,
  initLayerNorm,
  initMlp,
  type LayerNorm,
  layerNormShapes,
  type Mlp,
  mlpShapes,
  type ShapesOf,
} from '@tb/nn';
import { type Key, splitKey, rematerialize as withRematerialization } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { StackConfig } from './config.js';

// N = images, S = tokens, D = width

/** A pre-norm transformer block, by timm's names. */
export type TransformerBlock = {
  norm1: LayerNorm;
  attn: Attention;
  norm2: LayerNorm;
  mlp: Mlp;
};

export type StackOptions = {
  /** In training only. */
  dropout?: Dropout;
  /** Keep each block's input only and compute its inside again for the gradient. */
  rematerialize?: boolean;
  /** Called with every block's output and its official name. The tensor lives as long as the caller's scope. */
  observe?: (name: string, activation: tf.Tensor) => void;
};

/** Shapes of a block's parameters. */
export function transformerBlockShapes({ width, heads }: StackConfig, mlpRatio: number): ShapesOf<TransformerBlock> {
  return {
    norm1: layerNormShapes(width),
    attn: attentionShapes({ width, heads }),
    norm2: layerNormShapes(width),
    mlp: mlpShapes(width, width * mlpRatio),
  };
}

/** Xavier-uniform linears, norms at identity. */
export function initTransformerBlock(key: Key, { width, heads }: StackConfig, mlpRatio: number): TransformerBlock {
  return tf.tidy(() => {
    const [attentionKey, mlpKey] = splitKey(key, 2);
    return {
      norm1: initLayerNorm(width),
      attn: initAttention(attentionKey, { width, heads }),
      norm2: initLayerNorm(width),
      mlp: initMlp(mlpKey, width, width * mlpRatio),
    };
  });
}

/**
 * x + attention(norm(x)), then the same with the MLP.
 *
 * @param x - [N, S, D]
 * @param keyCounts - how many tokens of each sequence may be attended, the others being padding; int32 [N]
 */
export function applyTransformerBlock(
  params: TransformerBlock,
  x: tf.Tensor3D,
  heads: number,
  keyCounts?: tf.Tensor1D,
  dropout?: BlockDropout,
): tf.Tensor3D {
  return tf.tidy(() => {
    const attended = applyAttention(params.attn, applyLayerNorm(params.norm1, x), {
      heads,
      keyCounts,
      dropout: dropout?.attention,
    });
    const middle = tf.add(x, attended);
    const fed = applyMlp(params.mlp, applyLayerNorm(params.norm2, middle), {
      dropout: dropout?.mlp,
    });
    return tf.add(middle, fed);
  });
}

/** Block after block. `name` is the stack's official name, for `observe`. */
export function applyTransformerStack(
  blocks: readonly TransformerBlock[],
  x: tf.Tensor3D,
  stack: { name: string; heads: number; keyCounts?: tf.Tensor1D },
  { dropout, rematerialize = false, observe }: StackOptions,
): tf.Tensor3D {
  return tf.tidy(() => {
    const drops = dropoutOfBlocks(dropout, blocks.length);
    const apply = rematerialize ? withRematerialization(applyTransformerBlock) : applyTransformerBlock;
    return blocks.reduce((hidden, block, index) => {
      const output = apply(block, hidden, stack.heads, stack.keyCounts, drops[index]);
      observe?.(`${stack.name}.${index}`, output);
      return output;
    }, x);
  });
}
