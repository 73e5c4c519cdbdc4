import * as tf from '@tensorflow/tfjs-core';

export type KernelInputs = Record<string, tf.Tensor>;

// biome-ignore lint/suspicious/noExplicitAny: each kernel knows its own attributes.
export type KernelAttributes = any;

/** Registers a kernel for a backend in place of the one it has, if it has one. */
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
    // The engine wraps the result in a tensor of its own: keep the data while this one goes.
    (backend as tf.KernelBackend).incRef(dataId);
    output.dispose();
    return { dataId, shape, dtype };
  };
}
