import type * as tf from '@tensorflow/tfjs-core';

// The part of tfjs-node that is used here: its backend keeps the data, its addon runs any TensorFlow operation by name.

/** The addon's number for a value that TensorFlow holds. Its receiver deletes it. */
export type Handle = number;

export type Attribute = { name: string; type: number; value: unknown };

/** A result of an operation; `dtype` is TensorFlow's number for the type. */
export type Output = { id: Handle; shape: number[]; dtype: number };

export type Binding = {
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_INT: number;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  executeOp(name: string, attributes: Attribute[], inputs: Handle[], outputCount: number): Output[];
  createTensor(shape: number[], dtype: number, values: tf.TypedArray): Handle;
  tensorDataSync(handle: Handle): tf.TypedArray;
  deleteTensor(handle: Handle): void;
};

export type NodeBackend = tf.KernelBackend & {
  binding: Binding;
  /** The handles of tensors, which are written to TensorFlow now if they are not yet. */
  getInputTensorIds(tensors: tf.TensorInfo[]): Handle[];
  createOutputTensor(output: Output): tf.Tensor;
  executeSingleOutput(name: string, attributes: Attribute[], inputs: tf.TensorInfo[]): tf.Tensor;
  getDTypeInteger(dtype: tf.DataType): number;
};
