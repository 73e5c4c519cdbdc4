import * as tf from '@tensorflow/tfjs-core';

/** `tf.tidy` of a function whose result holds tensors in types of its own; what it made is disposed if it throws. */
export function tidyTree<T extends object>(make: () => T): T {
  return tf.tidy(() => make() as unknown as tf.TensorContainer) as unknown as T;
}
