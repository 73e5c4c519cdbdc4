import type * as tf from '@tensorflow/tfjs-core';
import type { HostComputation } from '../../random/random-kernels.js';
import type { Attribute, Binding, Handle, NodeBackend, Output } from './node-backend.js';

/** A value of a recording: an argument, a constant, or a result of a step. */
export type Slot = number;

/** A TensorFlow operation, or a computation on the host, from values to values. */
export type Step = { inputs: Slot[]; outputs: Slot[]; run(inputs: Handle[]): Handle[] };

/** What a function did: its arguments have the first slots. */
export type Recording = { steps: Step[]; slotCount: number; constants: Map<Slot, Handle> };

type Recorder = {
  binding: Binding;
  record: Recording;
  slotOf(handle: Handle): Slot;
  add(step: AddedStep): void;
  /** Notes that two handles have one value. */
  identify(output: Handle, input: Handle): void;
};
type AddedStep = { inputs: Handle[]; outputs: Handle[]; run: Step['run'] };

let active: Recorder | undefined;

/** Whether a function is being recorded. */
export function isRecording(): boolean {
  return active !== undefined;
}

/**
 * Runs `fn`, and records the operations that TensorFlow runs meanwhile, including those of gradients and of kernels made of
 * others. Values that `fn` did not make become constants, with the value that they have now.
 *
 * @param inputs - the arguments, each with a separate handle
 * @param tensorsOf - the tensors of the result of `fn`
 * @throws Error when `fn` reads a tensor's values, for they would be frozen in the recording
 */
export function record<T>(
  backend: NodeBackend,
  inputs: readonly tf.Tensor[],
  fn: () => T,
  tensorsOf: (result: T) => tf.Tensor[],
): { result: T; recording: Recording; results: Slot[] } {
  const { binding } = backend;
  const recorder = createRecorder(binding, backend.getInputTensorIds([...inputs]));
  active = recorder;
  backend.binding = observed(recorder);
  try {
    const result = fn();
    const results = backend.getInputTensorIds(tensorsOf(result)).map(recorder.slotOf);
    return { result, recording: recorder.record, results };
  } catch (error) {
    for (const handle of recorder.record.constants.values()) binding.deleteTensor(handle);
    throw error;
  } finally {
    active = undefined;
    backend.binding = binding;
  }
}

/** Computes a tensor on the host, as a step of the recording if there is one. */
export const computeOnHost: HostComputation = (storage, inputs, { shape, dtype }, compute) => {
  const backend = storage as NodeBackend;
  const binding = active?.binding ?? backend.binding;
  const type = backend.getDTypeInteger(dtype);
  const run = (handles: Handle[]) => [
    binding.createTensor(shape, type, compute(handles.map((handle) => binding.tensorDataSync(handle)))),
  ];
  const handles = backend.getInputTensorIds(inputs);
  const outputs = run(handles);
  active?.add({ inputs: handles, outputs, run });
  return backend.createOutputTensor({ id: outputs[0], shape, dtype: type });
};

function createRecorder(binding: Binding, inputs: Handle[]): Recorder {
  const slots = new Map<Handle, Slot>(inputs.map((handle, slot) => [handle, slot]));
  const record: Recording = { steps: [], slotCount: inputs.length, constants: new Map() };
  const newSlot = (handle: Handle): Slot => {
    slots.set(handle, record.slotCount);
    return record.slotCount++;
  };
  const slotOf = (handle: Handle): Slot => {
    const known = slots.get(handle);
    if (known !== undefined) return known;
    const slot = newSlot(handle);
    record.constants.set(slot, shared(binding, handle)); // its own, as the tensor will be disposed
    return slot;
  };
  const add = ({ inputs, outputs, run }: AddedStep) => {
    record.steps.push({ inputs: inputs.map(slotOf), outputs: outputs.map(newSlot), run });
  };
  const identify = (output: Handle, input: Handle) => slots.set(output, slotOf(input));
  return { binding, record, slotOf, add, identify };
}

/** Another handle of the same value. */
export function shared(binding: Binding, handle: Handle): Handle {
  return binding.executeOp('Identity', [], [handle], 1)[0].id;
}

/** The addon as tfjs's kernels see it while a function is recorded. */
function observed({ binding, add, identify }: Recorder): Binding {
  const shapes = new Map<Handle, string>();
  const changesNothing = (name: string, attributes: Attribute[], input: Handle, shape: string) =>
    name === 'Reshape' ? shapes.get(input) === shape : name === 'Cast' && attributes[0].value === attributes[1].value;
  const executeOp = (name: string, attributes: Attribute[], inputs: Handle[], outputCount: number): Output[] => {
    const outputs = binding.executeOp(name, attributes, inputs, outputCount);
    for (const { id, shape } of outputs) shapes.set(id, shape.join());
    const run = (handles: Handle[]) => binding.executeOp(name, attributes, handles, outputCount).map(({ id }) => id);
    if (changesNothing(name, attributes, inputs[0], outputs[0].shape.join())) identify(outputs[0].id, inputs[0]);
    else add({ inputs, outputs: outputs.map(({ id }) => id), run });
    return outputs;
  };
  const tensorDataSync = () => {
    throw new Error('jit: a tensor must not be read inside a jitted function');
  };
  // The addon's own properties cannot be written.
  return Object.create(binding, { executeOp: { value: executeOp }, tensorDataSync: { value: tensorDataSync } });
}
