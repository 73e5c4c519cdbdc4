import {
  applyConv2d,
  applyGroupNorm,
  type Conv2d,
  conv2dShapes,
  type GroupNorm,
  groupNormShapes,
  type ShapesOf,
  silu,
} from '@tb/nn';
import * as tf from '@tensorflow/tfjs-core';

// N = images, H, W = height and width, I = input channels, O = output channels, C = channels

/** Two convolutions around a shortcut. */
export type ResidualBlock = {
  norm1: GroupNorm; // over I
  conv1: Conv2d; // I -> O
  norm2: GroupNorm; // over O
  conv2: Conv2d; // O -> O
  nin_shortcut?: Conv2d; // I -> O, where they differ
};

export function residualBlockShapes(inputs: number, outputs: number): ShapesOf<ResidualBlock> {
  return {
    norm1: groupNormShapes(inputs),
    conv1: conv2dShapes(inputs, outputs, 3),
    norm2: groupNormShapes(outputs),
    conv2: conv2dShapes(outputs, outputs, 3),
    ...(inputs !== outputs && { nin_shortcut: conv2dShapes(inputs, outputs, 1) }),
  };
}

/** [N, H, W, I] -> [N, H, W, O] */
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

export function attentionBlockShapes(channels: number): ShapesOf<AttentionBlock> {
  const linear = () => conv2dShapes(channels, channels, 1);
  return { norm: groupNormShapes(channels), q: linear(), k: linear(), v: linear(), proj_out: linear() };
}

/** [N, H, W, C] -> [N, H, W, C] */
export function applyAttentionBlock(params: AttentionBlock, x: tf.Tensor4D, groups: number): tf.Tensor4D {
  const [images, height, width, channels] = x.shape;
  return tf.tidy(() => {
    const normalized = applyGroupNorm(params.norm, x, { groups });
    const [query, key, value] = [params.q, params.k, params.v].map((conv) =>
      tf.reshape(applyConv2d(conv, normalized), [images, height * width, channels]),
    );
    const scores = tf.mul(tf.matMul(query, key, false, true), channels ** -0.5); // [N, H·W, H·W]
    const mixed = tf.reshape<tf.Rank.R4>(tf.matMul(tf.softmax(scores), value), x.shape);
    return tf.add(x, applyConv2d(params.proj_out, mixed));
  });
}
