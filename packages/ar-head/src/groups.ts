import * as tf from '@tensorflow/tfjs-core';

// g = channels per group, B = levels

/**
 * The class of every group of channels: its tokens read as digits in base B, the first channel the most significant.
 *
 * @param tokens - int32 [..., G·g], each in [0, B)
 * @returns int32 [..., G], each in [0, Bᵍ)
 */
export function tokensToClasses(tokens: tf.Tensor, levels: number, groupSize: number): tf.Tensor {
  return tf.tidy(() => {
    if (groupSize === 1) return tf.clone(tokens);
    const groups = tf.reshape(tokens, [...tokens.shape.slice(0, -1), -1, groupSize]);
    const base = tf.scalar(levels, 'int32');
    return tf.unstack(groups, -1).reduce((sum, digit) => tf.add(tf.mul(sum, base), digit));
  });
}

/**
 * The inverse of `tokensToClasses` for one group.
 *
 * @param classes - int32 [...], each in [0, Bᵍ)
 * @returns int32 [..., g]
 */
export function classesToTokens(classes: tf.Tensor, levels: number, groupSize: number): tf.Tensor {
  return tf.tidy(() => {
    const base = tf.scalar(levels, 'int32');
    const digits: tf.Tensor[] = [];
    let rest = classes;
    for (let place = 1; place < groupSize; place++) {
      const quotient = tf.floorDiv(rest, base);
      digits.unshift(tf.sub(rest, tf.mul(quotient, base)));
      rest = quotient;
    }
    return tf.stack([rest, ...digits], -1);
  });
}
