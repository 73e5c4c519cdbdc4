import {
  applyConv2d,
  applyGroupNorm,
  type Conv2d,
  conv2dParameters,
  type Declaration,
  type GroupNorm,
  groupNormParameters,
  silu,
} from '@tb/nn';
import * as tf from '@tensorflow/tfjs-core';

// N = images, I = input channels, O = output channels, C = channels of a feature map

/** Two convolutions with a shortcut around them. */
export type ResidualBlock = {
  norm1: GroupNorm; // over I
  conv1: Conv2d; // I -> O
  norm2: GroupNorm; // over O
  conv2: Conv2d; // O -> O
  nin_shortcut?: Conv2d; // I -> O, where they differ
};

/** Declares a residual block; a shortcut convolution only where the channels change. */
export function residualBlockParameters(inputs: number, outputs: number): Declaration<ResidualBlock> {
  return {
    norm1: groupNormParameters(inputs),
    conv1: conv2dParameters(inputs, outputs, 3),
    norm2: groupNormParameters(outputs),
    conv2: conv2dParameters(outputs, outputs, 3),
    ...(inputs !== outputs && { nin_shortcut: conv2dParameters(inputs, outputs, 1) }),
  };
}

/** [N, height, width, I] to [N, height, width, O]. */
export function applyResidualBlock(params: ResidualBlock, x: tf.Tensor4D, groups: number): tf.Tensor4D {
  return tf.tidy(() => {
    const first = applyConv2d(params.conv1, silu(applyGroupNorm(params.norm1, x, { groups })), { padding: 1 });
    const second = applyConv2d(params.conv2, silu(applyGroupNorm(params.norm2, first, { groups })), { padding: 1 });
    return tf.add(params.nin_shortcut ? applyConv2d(params.nin_shortcut, x) : x, second);
  });
}

/** Self-attention with one head over all positions of an image, with 1 × 1 convolutions as linears. */
export type AttentionBlock = {
  norm: GroupNorm; // over C
  q: Conv2d; // C -> C
  k: Conv2d; // C -> C
  v: Conv2d; // C -> C
  proj_out: Conv2d; // C -> C
};

/** Declares an attention block. */
export function attentionBlockParameters(channels: number): Declaration<AttentionBlock> {
  const linear = conv2dParameters(channels, channels, 1);
  return { norm: groupNormParameters(channels), q: linear, k: linear, v: linear, proj_out: linear };
}

/** [N, height, width, C] to the same shape. */
export function applyAttentionBlock(params: AttentionBlock, x: tf.Tensor4D, groups: number): tf.Tensor4D {
  const [images, height, width, channels] = x.shape;
  return tf.tidy(() => {
    const normalized = applyGroupNorm(params.norm, x, { groups });
    const [query, key, value] = [params.q, params.k, params.v].map((conv) =>
      tf.reshape(applyConv2d(conv, normalized), [images, height * width, channels]),
    );
    const scores = tf.mul(tf.matMul(query, key, false, true), channels ** -0.5); // [N, positions, positions]
    const mixed = tf.reshape<tf.Rank.R4>(tf.matMul(tf.softmax(scores), value), x.shape);
    return tf.add(x, applyConv2d(params.proj_out, mixed));
  });
}

/** The two residual blocks around attention at the lowest resolution, in encoder and decoder alike. */
export type Middle = { block_1: ResidualBlock; attn_1: AttentionBlock; block_2: ResidualBlock };

/** Declares the middle blocks. */
export function middleParameters(channels: number): Declaration<Middle> {
  const block = residualBlockParameters(channels, channels);
  return { block_1: block, attn_1: attentionBlockParameters(channels), block_2: block };
}

/** One step of a network, with its name in the official checkpoint. */
export type Stage = { name: string; apply: (x: tf.Tensor4D) => tf.Tensor4D };

/** The middle's steps in order. */
export function* middleStages(params: Middle, groups: number): Generator<Stage> {
  yield { name: 'mid.block_1', apply: (x) => applyResidualBlock(params.block_1, x, groups) };
  yield { name: 'mid.attn_1', apply: (x) => applyAttentionBlock(params.attn_1, x, groups) };
  yield { name: 'mid.block_2', apply: (x) => applyResidualBlock(params.block_2, x, groups) };
}
