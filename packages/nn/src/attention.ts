import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertShape } from './assert.js';
import { dropout } from './dropout.js';
import { applyLayerNorm, initLayerNorm, type LayerNorm, layerNormShapes } from './layer-norm.js';
import { applyLinear, initLinear, type Linear, linearShapes } from './linear.js';
import type { ShapesOf } from './params.js';

// N = sequences, S = positions of x, P = cached positions, K = P + S keys, D = width, H = heads, E = D / H

/** Multi-head self-attention, by timm's names. */
export type Attention = {
  qkv: Linear; // D -> 3D: queries, keys, values, each head after head
  q_norm?: LayerNorm; // over E
  k_norm?: LayerNorm; // over E
  proj: Linear; // D -> D
};

export type AttentionConfig = { width: number; heads: number; qkNorm?: boolean };

/** Keys (after their norm) and values of the positions seen so far. */
export type KeyValueCache = {
  keys: tf.Tensor4D; // [N, H, P, E]
  values: tf.Tensor4D; // [N, H, P, E]
};

export type AttentionOptions = {
  heads: number;
  /** 1 for keys that may be attended, 0 for padding; float32 [N, K]. A sequence without any valid key gives numbers
   *  without meaning, but finite. */
  keyMask?: tf.Tensor2D;
  /** Position i attends to the cached positions and to positions 0 … i of x. */
  causal?: boolean;
  /** Rates for the attention weights and for the output, and a key for either; in training only. */
  dropout?: { attention: number; projection: number; keys: readonly [Key, Key] };
};

/** Shapes of an attention layer's parameters. */
export function attentionShapes({ width, heads, qkNorm = false }: AttentionConfig): ShapesOf<Attention> {
  const norms = qkNorm && { q_norm: layerNormShapes(width / heads), k_norm: layerNormShapes(width / heads) };
  return { qkv: linearShapes(width, 3 * width), ...norms, proj: linearShapes(width, width) };
}

/** Xavier-uniform weights, zero biases, norms at identity. */
export function initAttention(key: Key, { width, heads, qkNorm = false }: AttentionConfig): Attention {
  if (width % heads !== 0)
    throw new Error(`initAttention: width must be a multiple of heads, got ${width} and ${heads}`);
  return tf.tidy(() => {
    const [first, second] = splitKey(key, 2);
    const norms = qkNorm && { q_norm: initLayerNorm(width / heads), k_norm: initLayerNorm(width / heads) };
    return { qkv: initLinear(first, width, 3 * width), ...norms, proj: initLinear(second, width, width) };
  });
}

/**
 * Self-attention over a whole sequence.
 *
 * @param x - [N, S, D]
 * @returns [N, S, D]
 * @throws Error if D is no multiple of `heads`, or `keyMask` is not [N, S]
 */
export function applyAttention(params: Attention, x: tf.Tensor3D, options: AttentionOptions): tf.Tensor3D {
  return tf.tidy(() => attend(params, x, null, options).output);
}

/**
 * The same for the next positions of a sequence: they also attend to the cached ones.
 *
 * @param x - the new positions [N, S, D]
 * @param cache - what the call for the positions before returned, or `null` at the start; it is left alive
 * @returns output [N, S, D] and the cache extended by the S new positions
 * @throws Error if D is no multiple of `heads`, or `keyMask` is not [N, K]
 */
export function applyCachedAttention(
  params: Attention,
  x: tf.Tensor3D,
  cache: KeyValueCache | null,
  options: AttentionOptions,
): { output: tf.Tensor3D; cache: KeyValueCache } {
  return tf.tidy(() => attend(params, x, cache, options));
}

function attend(params: Attention, x: tf.Tensor3D, past: KeyValueCache | null, options: AttentionOptions) {
  const { heads, keyMask, causal = false } = options;
  const [sequences, positions, width] = x.shape;
  if (width % heads !== 0)
    throw new Error(`applyAttention: width must be a multiple of heads, got ${width} and ${heads}`);
  let [query, key, value] = splitHeads(applyLinear(params.qkv, x), heads); // [N, H, S, E] each
  if (params.q_norm) query = applyLayerNorm(params.q_norm, query);
  if (params.k_norm) key = applyLayerNorm(params.k_norm, key);
  const cache = past
    ? { keys: tf.concat([past.keys, key], 2), values: tf.concat([past.values, value], 2) }
    : { keys: key, values: value };
  if (keyMask) assertShape('applyAttention', 'keyMask', keyMask, [sequences, cache.keys.shape[2]]);

  const scaled = tf.mul(query, (width / heads) ** -0.5);
  let scores = tf.matMul(scaled, cache.keys, false, true); // [N, H, S, K]
  if (keyMask) scores = tf.add(scores, tf.reshape(penaltyWhereZero(keyMask), [sequences, 1, 1, -1]));
  if (causal && positions > 1) scores = tf.add(scores, penaltyWhereZero(causalMask(positions, cache.keys.shape[2])));
  let weights = tf.softmax(scores) as tf.Tensor4D;
  const drop = options.dropout;
  if (drop) weights = dropout(weights, drop.attention, drop.keys[0]);
  const mixed = tf.reshape(tf.transpose(tf.matMul(weights, cache.values), [0, 2, 1, 3]), [sequences, positions, width]);
  const output = applyLinear(params.proj, mixed) as tf.Tensor3D;
  return { output: drop ? dropout(output, drop.projection, drop.keys[1]) : output, cache };
}

/**
 * [N, S, 3D] to queries, keys and values, each [N, H, S, E]. Split first: one transposition of all three, of rank 5,
 * took 54 ms where this takes 3 ([8, 128, 768] on wasm).
 */
function splitHeads(qkv: tf.Tensor3D, heads: number): tf.Tensor4D[] {
  const [sequences, positions, tripleWidth] = qkv.shape;
  return tf.split(qkv, 3, 2).map((each) => {
    const split = tf.reshape(each, [sequences, positions, heads, tripleWidth / 3 / heads]);
    return tf.transpose(split, [0, 2, 1, 3]) as tf.Tensor4D;
  });
}

/** 1 where query i (the last S of the K positions) may see key j, else 0: [S, K]. */
function causalMask(positions: number, keys: number): tf.Tensor2D {
  const query = tf.reshape(tf.range(keys - positions, keys), [positions, 1]);
  return tf.cast(tf.lessEqual(tf.reshape(tf.range(0, keys), [1, keys]), query), 'float32') as tf.Tensor2D;
}

/** 0 where the mask is 1; where it is 0 a number so low that the softmax gives exactly 0, but finite. */
function penaltyWhereZero(mask: tf.Tensor): tf.Tensor {
  return tf.mul(tf.sub(mask, 1), 1e9);
}
