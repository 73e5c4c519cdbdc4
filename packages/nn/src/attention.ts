import { fusedAttention } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertShape } from './assert.js';
import { type AttentionDropout, dropout } from './dropout.js';
import { applyLayerNorm, type LayerNorm, layerNormParameters } from './layer-norm.js';
import { applyLinear, type Linear, linearParameters } from './linear.js';
import type { Declaration } from './params.js';

// N = sequences, S = positions of x, T = key positions (those of the cache, then x's), D = width, H = heads, E = D / H

/** Multi-head self-attention, softmax(q·kᵀ / √E)·v for each head, by timm's names. */
export type Attention = {
  qkv: Linear; // D -> 3D: queries, keys, values, each head after head
  q_norm?: LayerNorm; // over E
  k_norm?: LayerNorm; // over E
  proj: Linear; // D -> D
};

/** Sizes of an attention layer. */
export type AttentionConfig = {
  /** D. */
  width: number;
  /** H, a divisor of D. */
  heads: number;
  /** Layer norms of each head's queries and keys, as in the reference's channel head; default false. */
  qkNorm?: boolean;
};

/** Keys (after their norm) and values of the positions seen so far. */
export type KeyValueCache = {
  keys: tf.Tensor4D; // [N, H, T, E]
  values: tf.Tensor4D; // [N, H, T, E]
};

/** Options of `applyAttention` and `applyCachedAttention`. */
export type AttentionOptions = {
  heads: number;
  /** Sequence n attends to its first keyCounts[n] keys only; the others are padding. int32 [N], each in [1, T]. */
  keyCounts?: tf.Tensor1D;
  /** Position i attends to the cached positions and to positions 0 … i of x. */
  causal?: boolean;
  /** In training only. */
  dropout?: AttentionDropout;
};

/**
 * Declares an attention layer: xavier-uniform weights, zero biases, norms at identity.
 *
 * @throws Error if `width` is not a multiple of `heads`
 */
export function attentionParameters({ width, heads, qkNorm = false }: AttentionConfig): Declaration<Attention> {
  if (width % heads !== 0)
    throw new Error(`attentionParameters: width must be a multiple of heads, got ${width} and ${heads}`);
  const norms = qkNorm && { q_norm: layerNormParameters(width / heads), k_norm: layerNormParameters(width / heads) };
  return { qkv: linearParameters(width, 3 * width), ...norms, proj: linearParameters(width, width) };
}

/**
 * Self-attention over a complete sequence.
 *
 * @param x - [N, S, D]
 * @returns [N, S, D]
 * @throws Error if D is not a multiple of `heads`, or `keyCounts` is not [N]
 */
export function applyAttention(params: Attention, x: tf.Tensor3D, options: AttentionOptions): tf.Tensor3D {
  return tf.tidy(() => attend(params, x, null, options).output);
}

/**
 * Self-attention of the next positions of a sequence, which also attend to the cached ones.
 *
 * @param x - the new positions [N, S, D]
 * @param cache - what the call for the positions before returned, or `null` at the start; it is left alive
 * @returns output [N, S, D], and the cache extended by the S new positions
 * @throws Error if D is not a multiple of `heads`, or `keyCounts` is not [N]
 */
export function applyCachedAttention(
  params: Attention,
  x: tf.Tensor3D,
  cache: KeyValueCache | null,
  options: AttentionOptions,
): { output: tf.Tensor3D; cache: KeyValueCache } {
  return tf.tidy(() => {
    const attended = attend(params, x, cache, options, true);
    return { output: attended.output, cache: attended.cache! };
  });
}

/** @param keepsCache - return the extended cache too, where it is not needed for the output */
function attend(
  params: Attention,
  x: tf.Tensor3D,
  past: KeyValueCache | null,
  options: AttentionOptions,
  keepsCache = false,
): { output: tf.Tensor3D; cache?: KeyValueCache } {
  const { heads, keyCounts, causal = false, dropout: drop } = options;
  const [sequences, positions, width] = x.shape;
  if (width % heads !== 0)
    throw new Error(`applyAttention: width must be a multiple of heads, got ${width} and ${heads}`);
  if (keyCounts) assertShape('applyAttention', 'keyCounts', keyCounts, [sequences]);

  const canFuse = !past && !causal && !drop;
  const projected = project(params, x, heads, canFuse); // [N, S, H, E] each
  const cache = canFuse && !keepsCache ? undefined : extend(past, projected);
  const mixed = canFuse ? mixFused(projected, keyCounts) : mix(projected.query, cache!, options); // [N, S, H, E]
  const output = applyLinear(params.proj, tf.reshape(mixed, [sequences, positions, width])) as tf.Tensor3D;
  return { output: drop ? dropout(output, drop.projection, drop.keys[1]) : output, cache };
}

type Projected = { query: tf.Tensor4D; key: tf.Tensor4D; value: tf.Tensor4D };

/**
 * Queries, keys and values of x [N, S, D] for each head, normalized where the layer has norms: [N, S, H, E] each.
 *
 * @param canSplitWeight - project by three small products where that is faster than by one
 */
function project(params: Attention, x: tf.Tensor3D, heads: number, canSplitWeight: boolean): Projected {
  const [sequences, positions, width] = x.shape;
  const splitWeight = canSplitWeight && sequences * positions >= ROWS_FOR_THREE_PRODUCTS;
  const parts = splitWeight ? projectByThree(params.qkv, x) : tf.split(applyLinear(params.qkv, x), 3, 2);
  const [query, key, value] = parts.map((part) =>
    tf.reshape<tf.Rank.R4>(part, [sequences, positions, heads, width / heads]),
  );
  return {
    query: params.q_norm ? applyLayerNorm(params.q_norm, query) : query,
    key: params.k_norm ? applyLayerNorm(params.k_norm, key) : key,
    value,
  };
}

/** From this many rows on, three small products are faster than one large one, because splitting the large result copies it. */
const ROWS_FOR_THREE_PRODUCTS = 8192;

function projectByThree(qkv: Linear, x: tf.Tensor3D): tf.Tensor3D[] {
  const biases = tf.split(qkv.bias, 3);
  return tf.split(qkv.weight, 3, 0).map((weight, part) => applyLinear({ weight, bias: biases[part] }, x));
}

/** The cache with the keys and values of the new positions behind those of the past. */
function extend(past: KeyValueCache | null, { key, value }: Projected): KeyValueCache {
  const [keys, values] = [swapPositionsAndHeads(key), swapPositionsAndHeads(value)];
  if (!past) return { keys, values };
  return { keys: tf.concat([past.keys, keys], 2), values: tf.concat([past.values, values], 2) };
}

/** softmax(q·kᵀ / √E)·v, as one kernel that does not store the scores where the backend has one. */
function mixFused({ query, key, value }: Projected, keyCounts?: tf.Tensor1D): tf.Tensor4D {
  return fusedAttention({ query, key, value, keyCounts }, query.shape[3] ** -0.5);
}

/** softmax(q·kᵀ / √E)·v: queries [N, S, H, E] and a cache to [N, S, H, E]. */
function mix(query: tf.Tensor4D, { keys, values }: KeyValueCache, options: AttentionOptions): tf.Tensor4D {
  const { keyCounts, causal = false, dropout: drop } = options;
  const [, positions, , width] = query.shape;
  const count = keys.shape[2];
  let scores = scoresOf(tf.mul(swapPositionsAndHeads(query), width ** -0.5), keys); // [N, H, S, T]
  if (keyCounts) scores = tf.add(scores, penaltyWhereZero(validKeys(keyCounts, count)));
  if (causal && positions > 1) scores = tf.add(scores, penaltyWhereZero(causalMask(positions, count)));
  let weights = tf.softmax(scores) as tf.Tensor4D;
  if (drop) weights = dropout(weights, drop.attention, drop.keys[0]);
  return swapPositionsAndHeads(weightedSum(weights, values));
}

/** Product of every query with every key: einsum 'NHSE,NHTE->NHST'. */
function scoresOf(query: tf.Tensor4D, keys: tf.Tensor4D): tf.Tensor4D {
  return tf.matMul(query, keys, false, true);
}

/** Sum of the values with the weights of every query: einsum 'NHST,NHTE->NHSE'. */
function weightedSum(weights: tf.Tensor4D, values: tf.Tensor4D): tf.Tensor4D {
  return tf.matMul(weights, values);
}

/** [N, S, H, E] to [N, H, S, E], and back. */
function swapPositionsAndHeads(x: tf.Tensor4D): tf.Tensor4D {
  return tf.transpose(x, [0, 2, 1, 3]);
}

/** 1 for the first keyCounts[n] keys of sequence n, else 0: [N, 1, 1, T]. */
function validKeys(keyCounts: tf.Tensor1D, keys: number): tf.Tensor {
  const isValid = tf.less(tf.range(0, keys, 1, 'int32'), tf.expandDims(keyCounts, 1));
  return tf.reshape(tf.cast(isValid, 'float32'), [-1, 1, 1, keys]);
}

/** 1 where query i (the last S of the T positions) may attend to key j, else 0: [S, T]. */
function causalMask(positions: number, keys: number): tf.Tensor2D {
  const query = tf.reshape(tf.range(keys - positions, keys), [positions, 1]);
  return tf.cast(tf.lessEqual(tf.reshape(tf.range(0, keys), [1, keys]), query), 'float32') as tf.Tensor2D;
}

/** 0 where the mask is 1; where it is 0, a number so low that the softmax gives exactly 0, but finite. */
function penaltyWhereZero(mask: tf.Tensor): tf.Tensor {
  return tf.mul(tf.sub(mask, 1), 1e9);
}
