import * as tf from '@tensorflow/tfjs-core';

/**
 * Refuses to continue before a backend is loaded. TensorFlow.js itself would only report that its registry is empty.
 *
 * @param where - the calling function, for the message
 * @throws Error that names the function to call
 */
export function assertBackend(where: string): void {
  if (tf.engine().backendNames().length > 0) return;
  throw new Error(
    `${where}: no backend is loaded: call await useBackend('auto') of @tb/runtime first ` +
      '(if that was done, two copies of @tensorflow/tfjs-core are installed: npm ls @tensorflow/tfjs-core)',
  );
}
