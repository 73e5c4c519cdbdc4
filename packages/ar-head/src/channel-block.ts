import {
  type Attention,
  applyCachedAttention,
  applyLayerNorm,
  applyLinear,
  applyMlp,
  attentionShapes,
  type BlockDropout,
  initAttention,
  initLayerNorm,
  initMlp,
  initZeroLinear,
  type KeyValueCache,
  type LayerNorm,
  type Linear,
  layerNormShapes,
  linearShapes,
  type Mlp,
  mlpShapes,
  modulate,
  type ShapesOf,
} from '@tb/nn';
import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { ChannelHeadConfig } from './config.js';

// R = rows (positions of all images), G = groups of channels, T = groups of this call, D = width

/** adaLN's projection; `1` because the official module is a sequence of SiLU (0) and linear (1). */
export type AdaptiveModulation = { 1: Linear };

/** A causal transformer block whose norms are modulated by the condition. */
export type ChannelBlock = {
  norm1: LayerNorm;
  attn: Attention;
  norm2: LayerNorm;
  mlp: Mlp;
  adaLN_modulation: AdaptiveModulation; // D -> 6D: shift, scale and gate of the attention, then of the MLP
};

/** Shapes of a block's parameters. */
export function channelBlockShapes({ width, heads, mlpRatio }: ChannelHeadConfig): ShapesOf<ChannelBlock> {
  return {
    norm1: layerNormShapes(width),
    attn: attentionShapes({ width, heads, qkNorm: true }),
    norm2: layerNormShapes(width),
    mlp: mlpShapes(width, width * mlpRatio),
    adaLN_modulation: { 1: linearShapes(width, 6 * width) },
  };
}

/** Xavier-uniform linears; the modulation starts at zero, so an untrained block is the identity. */
export function initChannelBlock(key: Key, { width, heads, mlpRatio }: ChannelHeadConfig): ChannelBlock {
  return tf.tidy(() => {
    const [attentionKey, mlpKey] = splitKey(key, 2);
    return {
      norm1: initLayerNorm(width),
      attn: initAttention(attentionKey, { width, heads, qkNorm: true }),
      norm2: initLayerNorm(width),
      mlp: initMlp(mlpKey, width, width * mlpRatio),
      adaLN_modulation: { 1: initZeroLinear(width, 6 * width) },
    };
  });
}

/**
 * The block's modulation, which depends on the condition alone and so is computed once for all groups.
 *
 * @param activatedCondition - silu(condition) [R, G, D]
 * @returns [R, G, 6D]
 */
export function blockModulation(params: ChannelBlock, activatedCondition: tf.Tensor3D): tf.Tensor3D {
  return applyLinear(params.adaLN_modulation[1], activatedCondition);
}

/**
 * The block on all groups at once, or on the next ones given the cache of those before.
 *
 * @param x - [R, T, D]
 * @param modulation - of these groups [R, T, 6D]
 * @param cache - what the call for the groups before returned; `null` at the start
 * @returns output [R, T, D] and the cache that includes these groups
 */
export function applyChannelBlock(
  params: ChannelBlock,
  x: tf.Tensor3D,
  modulation: tf.Tensor3D,
  cache: KeyValueCache | null,
  { heads, causal, dropout }: { heads: number; causal: boolean; dropout?: BlockDropout },
): { output: tf.Tensor3D; cache: KeyValueCache } {
  return tf.tidy(() => {
    const [shift1, scale1, gate1, shift2, scale2, gate2] = tf.split(modulation, 6, 2);
    const attended = applyCachedAttention(
      params.attn,
      modulate(applyLayerNorm(params.norm1, x), shift1, scale1),
      cache,
      { heads, causal, dropout: dropout?.attention },
    );
    const middle = tf.add(x, tf.mul(gate1, attended.output)) as tf.Tensor3D;
    const fed = applyMlp(params.mlp, modulate(applyLayerNorm(params.norm2, middle), shift2, scale2), {
      dropout: dropout?.mlp,
    });
    return { output: tf.add(middle, tf.mul(gate2, fed)) as tf.Tensor3D, cache: attended.cache };
  });
}
