import * as tf from '@tensorflow/tfjs-core';

/** @throws Error saying what to call where no backend is loaded yet; tfjs says only that its registry is empty */
export function assertBackend(where: string): void {
  if (tf.engine().backendNames().length > 0) return;
  throw new Error(
    `${where}: no backend is loaded: call await useBackend('auto') of @tb/runtime first ` +
      '(if that was done, two copies of @tensorflow/tfjs-core are installed: npm ls @tensorflow/tfjs-core)',
  );
}
