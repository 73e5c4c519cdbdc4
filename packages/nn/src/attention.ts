import { fusedAttention, type Key, splitKey } from '@tb/runtime';
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
  keys: tf.Tensor4D; // [N, H, P, E]
  values: tf.Tensor4D; // [N, H, P, E]
};

export type AttentionOptions = {
  heads: number;
  /** Only the first keyCounts[n] keys of sequence n may be attended, those behind are padding; int32 [N], each in [1, K]. */
  keyCounts?: tf.Tensor1D;
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

/** Xavier-uniform weights, zero biases, norms at identity. @throws Error if `width` is no multiple of `heads` */
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
 * @throws Error if D is no multiple of `heads`, or `keyCounts` is not [N]
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
 * @throws Error if D is no multiple of `heads`, or `keyCounts` is not [N]
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
  const { heads, keyCounts, causal = false, dropout: drop } = options;
  const [sequences, positions, width] = x.shape;
  if (width % heads !== 0)
    throw new Error(`applyAttention: width must be a multiple of heads, got ${width} and ${heads}`);
  if (keyCounts) assertShape('applyAttention', 'keyCounts', keyCounts, [sequences]);
  const isWhole = !past && !causal && !drop;
  const isLong = isWhole && sequences * positions >= MANY_ROWS;
  let [query, key, value] = (isLong ? projectEach : projectAtOnce)(params.qkv, x, heads); // [N, S, H, E] each
  if (params.q_norm) query = applyLayerNorm(params.q_norm, query);
  if (params.k_norm) key = applyLayerNorm(params.k_norm, key);
  const [ownKeys, ownValues] = [headsFirst(key), headsFirst(value)];
  const cache = past
    ? { keys: tf.concat([past.keys, ownKeys], 2), values: tf.concat([past.values, ownValues], 2) }
    : { keys: ownKeys, values: ownValues };
  const fused = isWhole ? fusedAttention({ query, key, value, keyCounts }, (width / heads) ** -0.5) : undefined;
  const mixed = fused ?? headsFirst(attendByHead(headsFirst(query), cache, options)); // [N, S, H, E]
  const output = applyLinear(params.proj, tf.reshape(mixed, [sequences, positions, width])) as tf.Tensor3D;
  return { output: drop ? dropout(output, drop.projection, drop.keys[1]) : output, cache };
}

/** Mixes the values of all keys for every query: [N, H, S, E]. */
function attendByHead(query: tf.Tensor4D, { keys, values }: KeyValueCache, options: AttentionOptions): tf.Tensor4D {
  const { keyCounts, causal = false, dropout: drop } = options;
  const [, , positions, width] = query.shape;
  const length = keys.shape[2];
  const scaled = tf.mul(query, width ** -0.5);
  let scores = tf.matMul(scaled, keys, false, true); // [N, H, S, K]
  if (keyCounts) scores = tf.add(scores, penaltyWhereZero(validKeys(keyCounts, length)));
  if (causal && positions > 1) scores = tf.add(scores, penaltyWhereZero(causalMask(positions, length)));
  let weights = tf.softmax(scores) as tf.Tensor4D;
  if (drop) weights = dropout(weights, drop.attention, drop.keys[0]);
  return tf.matMul(weights, values);
}

/** Rows of x from which on cutting a product's result into three, a copy of all of it, costs more than two further products. */
const MANY_ROWS = 8192;

/** Queries, keys and values of x [N, S, D] by one product, each [N, S, H, E]. */
function projectAtOnce(qkv: Linear, x: tf.Tensor3D, heads: number): tf.Tensor4D[] {
  return tf.split(applyLinear(qkv, x), 3, 2).map((each) => splitHeads(each as tf.Tensor3D, heads));
}

/** The same by a product for each, for which it is the small weight that is cut. */
function projectEach(qkv: Linear, x: tf.Tensor3D, heads: number): tf.Tensor4D[] {
  const biases = tf.split(qkv.bias, 3);
  return tf
    .split(qkv.weight, 3, 0)
    .map((weight, part) => splitHeads(applyLinear({ weight, bias: biases[part] }, x), heads));
}

/** [N, S, D] to [N, S, H, E]. */
function splitHeads(x: tf.Tensor3D, heads: number): tf.Tensor4D {
  const [sequences, positions, width] = x.shape;
  return tf.reshape(x, [sequences, positions, heads, width / heads]);
}

/** Exchanges the axes of positions and heads: [N, S, H, E] to [N, H, S, E] and back. */
function headsFirst(x: tf.Tensor4D): tf.Tensor4D {
  return tf.transpose(x, [0, 2, 1, 3]);
}

/** 1 for the first keyCounts[n] keys of sequence n, else 0: [N, 1, 1, K]. */
function validKeys(keyCounts: tf.Tensor1D, keys: number): tf.Tensor {
  const isValid = tf.less(tf.range(0, keys, 1, 'int32'), tf.expandDims(keyCounts, 1));
  return tf.reshape(tf.cast(isValid, 'float32'), [-1, 1, 1, keys]);
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
