import * as tf from '@tensorflow/tfjs-core';
import { assertShape } from './assert.js';
import { normalize } from './layer-norm.js';
import { type Declaration, parameter } from './params.js';

// N = images, C = channels

/** Scale and offset per channel after the normalization. */
export type GroupNorm = {
  weight: tf.Tensor; // [C]
  bias: tf.Tensor; // [C]
};

/** Options of `applyGroupNorm`. */
export type GroupNormOptions = {
  /** Number of groups, in which neighbouring channels share statistics; default 32. */
  groups?: number;
  /** Default 1e-6, as in the reference's autoencoder. */
  epsilon?: number;
};

/** Declares a group norm that starts as the plain normalization. */
export function groupNormParameters(channels: number): Declaration<GroupNorm> {
  return { weight: parameter([channels], 1), bias: parameter([channels], 0) };
}

/**
 * Group norm (Wu & He 2018) over positions and the channels of a group.
 *
 * @param x - [N, height, width, C]
 * @returns [N, height, width, C]
 * @throws Error if the last axis of `x` is not C, or C is not a multiple of `groups`
 */
export function applyGroupNorm(params: GroupNorm, x: tf.Tensor4D, options: GroupNormOptions = {}): tf.Tensor4D {
  const { groups = 32, epsilon = 1e-6 } = options;
  const [images, height, width, channels] = x.shape;
  assertShape('applyGroupNorm', 'x', x, [null, null, null, params.weight.size]);
  if (channels % groups !== 0) {
    throw new Error(`applyGroupNorm: channels must be a multiple of groups, got ${channels} and ${groups}`);
  }
  return tf.tidy(() => {
    const flat = tf.reshape(x, [images, height * width, channels]);
    const mean = (values: tf.Tensor) => groupMean(tf.reshape(values, x.shape), groups);
    const normalized = tf.reshape(normalize(flat, mean, epsilon), x.shape);
    return tf.add(tf.mul(normalized, params.weight), params.bias);
  });
}

/**
 * Each channel's mean over all positions and the channels of its group: [N, height, width, C] -> [N, 1, C].
 *
 * It takes one axis after another: a quarter of a million values summed in one row would cost float32 two more digits. It
 * repeats each group's mean for all of its channels, because WASM subtracts [N, 1, C] six times faster than
 * [N, 1, groups, 1].
 */
function groupMean(x: tf.Tensor4D, groups: number): tf.Tensor {
  const [images, , , channels] = x.shape;
  const ofChannels = tf.reshape(tf.mean(tf.mean(x, 2), 1), [images, groups, channels / groups]);
  const ofGroups = tf.broadcastTo(tf.mean(ofChannels, 2, true), ofChannels.shape);
  return tf.reshape(ofGroups, [images, 1, channels]);
}
