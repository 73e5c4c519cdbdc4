import * as tf from '@tensorflow/tfjs-core';
import { composedKernel, replaceKernel } from '../composed-kernel.js';
import { registerRandomKernels } from '../random-kernels.js';
import { registerConvolutions } from './convolution.js';

/** What of tfjs-node's backend is used here: it runs any TensorFlow operation by name. */
type TensorflowBackend = {
  binding: { TF_ATTR_TYPE: number; TF_FLOAT: number; TF_INT32: number };
  executeSingleOutput(name: string, attributes: object[], inputs: tf.Tensor[]): tf.Tensor;
};

let registered = false;

/**
 * Registers what tfjs-node lacks, and the random kernels; dropout masks, which need no particular bits, are
 * TensorFlow's own. Further calls do nothing.
 */
export function registerTensorflowKernels(): void {
  if (registered) return;
  registered = true;
  registerConvolutions();
  registerRandomKernels('tensorflow');
  const onHost = tf.getKernel('DropoutMask', 'tensorflow').kernelFunc;
  const onDevice = composedKernel(({ key }, { shape, keepProbability }) => {
    const kept = tf.floor(tf.add(statelessUniform(key, shape), keepProbability));
    return tf.mul(kept, 1 / keepProbability);
  });
  replaceKernel('tensorflow', 'DropoutMask', (call) => (call.inputs.key?.shape.length === 1 ? onDevice : onHost)(call));
}

/** Uniform in [0, 1) by TensorFlow's Philox generator. */
function statelessUniform(key: tf.Tensor, shape: number[]): tf.Tensor {
  const backend = tf.backend() as unknown as TensorflowBackend;
  const { TF_ATTR_TYPE: type, TF_FLOAT, TF_INT32 } = backend.binding;
  const attributes = [
    { name: 'T', type, value: TF_INT32 },
    { name: 'Tseed', type, value: TF_INT32 },
    { name: 'dtype', type, value: TF_FLOAT },
  ];
  return backend.executeSingleOutput('StatelessRandomUniform', attributes, [tf.tensor1d(shape, 'int32'), key]);
}
