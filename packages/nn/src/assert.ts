import type * as tf from '@tensorflow/tfjs-core';

/** Throws unless the tensor has the expected shape, where `null` allows any size. */
export function assertShape(
  where: string,
  name: string,
  tensor: tf.Tensor,
  expected: readonly (number | null)[],
): void {
  const { shape } = tensor;
  const fits =
    shape.length === expected.length && expected.every((size, axis) => size === null || size === shape[axis]);
  if (!fits) {
    const sizes = expected.map((size) => size ?? '*').join(', ');
    throw new Error(`${where}: ${name} must be [${sizes}], got [${shape.join(', ')}]`);
  }
}

/** Throws unless the tensor's last axis has the expected size. */
export function assertLastAxis(where: string, name: string, tensor: tf.Tensor, size: number): void {
  if (tensor.shape.at(-1) !== size) {
    throw new Error(`${where}: ${name} must have a last axis of ${size}, got [${tensor.shape.join(', ')}]`);
  }
}

/** Throws unless the rate is a number in [0, 1). */
export function assertRate(where: string, name: string, rate: number): void {
  if (!(rate >= 0 && rate < 1)) throw new RangeError(`${where}: ${name} must be in [0, 1), got ${rate}`);
}
