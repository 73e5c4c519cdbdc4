import { mergesEqualWork, optimizationBarrier, storeActivation } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

/** Scale and offset after the normalization, for each place of the last axis. */
export type Affine = {
  weight: tf.Tensor; // [D]
  bias: tf.Tensor; // [D]
};

export type Normalization = {
  /** Averages over what is normalized together, in a shape that broadcasts to x's. */
  mean: (x: tf.Tensor) => tf.Tensor;
  epsilon: number;
};

/**
 * (x − mean) / √(variance + epsilon) · weight + bias with the biased variance: the core of layer and group norm.
 *
 * @param params - `null` for no scale and offset
 * @param x - [..., D]
 * @returns [..., D]
 */
export function normalize<X extends tf.Tensor>(params: Affine | null, x: X, options: Normalization): X {
  return tf.tidy(() => {
    const withGradient = normalizeWithGradient(options);
    return params ? withGradient(x, params.weight, params.bias) : withGradient(x);
  }) as X;
}

// Own gradient: on [1024, 1024] on wasm, forward and backward took 6.9 ms instead of 15, 17 kernels instead of 43.
function normalizeWithGradient({ mean, epsilon }: Normalization) {
  // biome-ignore lint/suspicious/noExplicitAny: customGrad's types know only functions of a fixed number of tensors.
  return tf.customGrad((...inputsAndSave: any[]) => {
    const save = inputsAndSave.pop() as tf.GradSaveFunc;
    const [x, weight, bias] = inputsAndSave as [tf.Tensor, tf.Tensor?, tf.Tensor?];
    const average = mean(x);
    const centered = tf.sub(x, average);
    const scale = tf.rsqrt(tf.add(mean(tf.square(centered)), epsilon));
    const normalized = tf.mul(centered, scale);
    // A compiled program would write these float32 values to memory for the gradient alone; x is there anyway.
    const isRecomputed = mergesEqualWork();
    save([scale, ...(isRecomputed ? [x, average] : [normalized]), ...(weight ? [weight] : [])]);
    const gradFunc = (dy: tf.Tensor, [savedScale, ...rest]: tf.Tensor[]) => {
      const same = isRecomputed ? tf.mul(tf.sub(optimizationBarrier([rest[0]])[0], rest[1]), savedScale) : rest[0];
      return gradients(dy, same, savedScale, mean, weight && rest.at(-1));
    };
    return { value: storeActivation(weight ? tf.add(tf.mul(normalized, weight), bias!) : normalized), gradFunc };
  });
}

/** Of x, and where there is a weight of it and the bias. */
function gradients(
  dy: tf.Tensor,
  normalized: tf.Tensor,
  scale: tf.Tensor,
  mean: Normalization['mean'],
  weight: tf.Tensor | undefined,
): tf.Tensor | tf.Tensor[] {
  // dx = scale · (g − mean(g) − y·mean(g·y)) for the gradient g of the normalized values y
  const inner = weight ? tf.mul(dy, weight) : dy;
  const slope = mean(tf.mul(inner, normalized));
  const dx = tf.mul(scale, tf.sub(tf.sub(inner, mean(inner)), tf.mul(normalized, slope)));
  if (!weight) return dx;
  const overRows = (values: tf.Tensor) => tf.sum(tf.reshape(values, [-1, weight.size]), 0);
  return [dx, overRows(tf.mul(dy, normalized)), overRows(dy)];
}
