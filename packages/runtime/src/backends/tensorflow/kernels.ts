import * as tf from '@tensorflow/tfjs-core';
import { registerBackendSupport } from '../../jit/jit.js';
import { registerRandomKernels } from '../../random/random-kernels.js';
import { composedKernel, replaceKernel } from '../composed-kernel.js';
import { registerConvolutions } from './convolution.js';
import type { NodeBackend } from './node-backend.js';
import { computeOnHost } from './recording.js';
import { recordingSupport } from './recording-jit.js';

let registered = false;

/**
 * Registers recording for `jit`, the kernels that tfjs-node lacks, and the random kernels; dropout masks, which need no particular
 * bits, are TensorFlow's own. Further calls do nothing.
 */
export function registerTensorflowKernels(): void {
  if (registered) return;
  registered = true;
  registerBackendSupport('tensorflow', recordingSupport);
  registerConvolutions();
  registerMatrixProduct();
  registerGather();
  registerRandomKernels('tensorflow', computeOnHost);
  const onHost = tf.getKernel('DropoutMask', 'tensorflow').kernelFunc;
  const onDevice = composedKernel(({ key }, { shape, keepProbability }) => {
    const kept = tf.floor(tf.add(statelessUniform(key, shape), keepProbability));
    return tf.mul(kept, 1 / keepProbability);
  });
  replaceKernel('tensorflow', 'DropoutMask', (call) => (call.inputs.key?.shape.length === 1 ? onDevice : onHost)(call));
}

/** TensorFlow's product of batches takes twice the time of its plain one for matrices of a hundred rows. */
function registerMatrixProduct(): void {
  const original = tf.getKernel('BatchMatMul', 'tensorflow').kernelFunc;
  replaceKernel('tensorflow', 'BatchMatMul', (call) => {
    const { a, b } = call.inputs as Record<'a' | 'b', tf.TensorInfo>;
    if (a.shape.length !== 2 || b.shape.length !== 2) return original(call);
    const backend = call.backend as NodeBackend;
    const { TF_ATTR_TYPE, TF_ATTR_BOOL } = backend.binding;
    const { transposeA, transposeB } = call.attrs as Record<string, unknown>;
    const attributes = [
      { name: 'T', type: TF_ATTR_TYPE, value: backend.getDTypeInteger(a.dtype) },
      { name: 'transpose_a', type: TF_ATTR_BOOL, value: transposeA },
      { name: 'transpose_b', type: TF_ATTR_BOOL, value: transposeB },
    ];
    return backend.executeSingleOutput('MatMul', attributes, [a, b]);
  });
}

/** tfjs-node reads all indices back to check them; TensorFlow checks them too, where it can do so for nothing. */
function registerGather(): void {
  replaceKernel('tensorflow', 'GatherV2', ({ inputs, attrs, backend: storage }) => {
    const { x, indices } = inputs as Record<'x' | 'indices', tf.TensorInfo>;
    const { axis, batchDims } = attrs as Record<string, number>;
    const backend = storage as NodeBackend;
    const { TF_ATTR_TYPE: type, TF_ATTR_INT, TF_INT32 } = backend.binding;
    const attributes = [
      { name: 'batch_dims', type: TF_ATTR_INT, value: batchDims },
      { name: 'Tparams', type, value: backend.getDTypeInteger(x.dtype) },
      { name: 'Tindices', type, value: backend.getDTypeInteger(indices.dtype) },
      { name: 'Taxis', type, value: TF_INT32 },
    ];
    const axisTensor = tf.scalar(axis, 'int32');
    const gathered = backend.executeSingleOutput('GatherV2', attributes, [x, indices, axisTensor]);
    axisTensor.dispose();
    return gathered;
  });
}

/** Uniform in [0, 1) by TensorFlow's Philox generator. */
function statelessUniform(key: tf.Tensor, shape: number[]): tf.Tensor {
  const backend = tf.backend() as NodeBackend;
  const { TF_ATTR_TYPE: type, TF_FLOAT, TF_INT32 } = backend.binding;
  const attributes = [
    { name: 'T', type, value: TF_INT32 },
    { name: 'Tseed', type, value: TF_INT32 },
    { name: 'dtype', type, value: TF_FLOAT },
  ];
  return backend.executeSingleOutput('StatelessRandomUniform', attributes, [tf.tensor1d(shape, 'int32'), key]);
}
