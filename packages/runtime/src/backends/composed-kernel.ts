import * as tf from '@tensorflow/tfjs-core';

export type KernelInputs = Record<string, tf.Tensor>;

// biome-ignore lint/suspicious/noExplicitAny: each kernel knows its own attributes.
export type KernelAttributes = any;

/** Registers a kernel for a backend, in place of the existing one if there is one. */
export function replaceKernel(backendName: string, kernelName: string, kernelFunc: tf.KernelFunc): void {
  const original = tf.getKernel(kernelName, backendName);
  if (original) tf.unregisterKernel(kernelName, backendName);
  // The original's set-up stays: the new kernel may call the old one.
  tf.registerKernel({ ...original, kernelName, backendName, kernelFunc });
}

/** A kernel made of tfjs operations. Its temporaries are disposed; nothing in it is recorded for gradients. */
export function composedKernel(
  compute: (inputs: KernelInputs, attributes: KernelAttributes) => tf.Tensor,
): tf.KernelFunc {
  return ({ inputs, backend, attrs }) => {
    const output = tf.tidy(() => compute(inputs as KernelInputs, attrs));
    const { dataId, shape, dtype } = output;
    // TensorFlow.js wraps the result in another tensor: keep the data when this one is disposed.
    (backend as tf.KernelBackend).incRef(dataId);
    output.dispose();
    return { dataId, shape, dtype };
  };
}
