import * as tf from '@tensorflow/tfjs-core';

export type Case = {
  inputs: () => tf.Tensor[];
  run: (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  hasGradient?: boolean;
};

/** Numbers without pattern, the same everywhere, from −2 to 2 unless told. */
export function numbers(shape: number[], { seed = 1, low = -2, high = 2 } = {}): tf.Tensor {
  const size = tf.util.sizeFromShape(shape);
  const values = Float32Array.from({ length: size }, (_, i) => {
    const fraction = Math.abs(Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453) % 1;
    return low + (high - low) * fraction;
  });
  return tf.tensor(values, shape);
}

export const positive = (shape: number[], seed = 1) => numbers(shape, { seed, low: 0.2, high: 3 });
export const inside = (shape: number[]) => numbers(shape, { low: -0.9, high: 0.9 });
export const integers = (shape: number[], high: number, seed = 1) =>
  tf.cast(tf.floor(numbers(shape, { seed, low: 0, high })), 'int32');
export const flags = (shape: number[], seed = 1) => tf.greater(numbers(shape, { seed }), 0);

export const of = (inputs: Case['inputs'], run: Case['run'], hasGradient = false): Case => ({
  inputs,
  run,
  hasGradient,
});
export const unary = (
  run: (x: tf.Tensor) => tf.Tensor,
  x: (shape: number[]) => tf.Tensor = numbers,
  hasGradient = true,
) => of(() => [x([3, 5])], run as Case['run'], hasGradient);
export const binary = (run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, hasGradient = true) =>
  of(() => [positive([2, 3, 4]), positive([3, 1], 2)], run as Case['run'], hasGradient);
export const image =
  (channels = 3) =>
  () => [numbers([2, 8, 7, channels]), numbers([3, 3, channels, 4], { seed: 2 })];
