import * as tf from '@tensorflow/tfjs-core';
import { replaceKernel } from '../composed-kernel.js';
import type { WasmBackend } from './wasm-backend.js';

// Kernels that only move data, as copies of whole rows inside the WebAssembly memory. The backend's own Identity copies
// (and every tensor saved for a gradient passes through it), its SplitV and Concat go through slices, and its Transpose
// walks element by element.

/** Replaces Identity, Concat, SplitV and Transpose of the WASM backend. */
export function registerBlockCopies(): void {
  registerIdentity();
  registerConcat();
  registerSplit();
  registerTranspose();
}

/** Another handle of the same data, as the backend's own Reshape gives. */
function registerIdentity(): void {
  replaceKernel('wasm', 'Identity', ({ inputs, backend }) => {
    const { dataId, shape, dtype } = inputs.x as tf.TensorInfo;
    (backend as WasmBackend).incRef(dataId);
    return { dataId, shape, dtype };
  });
}

function registerConcat(): void {
  const original = tf.getKernel('Concat', 'wasm').kernelFunc;
  replaceKernel('wasm', 'Concat', (call) => {
    const backend = call.backend as WasmBackend;
    const parts = (call.inputs as unknown as tf.TensorInfo[]).filter(({ shape }) => !shape.includes(0));
    const isPlain = parts.length > 1 && parts.every(({ dtype }) => dtype === parts[0].dtype && dtype !== 'string');
    if (!isPlain) return original(call);
    const [axis] = tf.util.parseAxisParam((call.attrs as unknown as { axis: number }).axis, parts[0].shape);
    const shape = [...parts[0].shape];
    shape[axis] = parts.reduce((sum, part) => sum + part.shape[axis], 0);
    const whole = backend.makeOutput(shape, parts[0].dtype);
    forEachPartRow(backend, whole, parts, axis, (memory, inWhole, inPart, length) => {
      memory.copyWithin(inWhole, inPart, inPart + length);
    });
    return whole;
  });
}

function registerSplit(): void {
  replaceKernel('wasm', 'SplitV', ({ inputs, backend: tfBackend, attrs }) => {
    const backend = tfBackend as WasmBackend;
    const x = inputs.x as tf.TensorInfo;
    const { axis: anyAxis, numOrSizeSplits } = attrs as unknown as { axis: number; numOrSizeSplits: number | number[] };
    const [axis] = tf.util.parseAxisParam(anyAxis, x.shape);
    const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, axis);
    const parts = sizes.map((size) => backend.makeOutput(replaceAt(x.shape, axis, size), x.dtype));
    forEachPartRow(backend, x, parts, axis, (memory, inWhole, inPart, length) => {
      memory.copyWithin(inPart, inWhole, inWhole + length);
    });
    return parts;
  });
}

/** Where the rows of the parts of a tensor lie, in the whole and in the part, counted in elements. */
function forEachPartRow(
  backend: WasmBackend,
  whole: tf.TensorInfo,
  parts: readonly tf.TensorInfo[],
  axis: number,
  use: (memory: Memory, inWhole: number, inPart: number, length: number) => void,
): void {
  const memory = memoryOf(backend, whole);
  const rows = tf.util.sizeFromShape(whole.shape.slice(0, axis));
  const wholeLength = tf.util.sizeFromShape(whole.shape.slice(axis));
  let wholeStart = startOf(backend, whole);
  for (const part of parts) {
    const length = tf.util.sizeFromShape(part.shape.slice(axis));
    const partStart = startOf(backend, part);
    for (let row = 0; row < rows; row++) use(memory, wholeStart + row * wholeLength, partStart + row * length, length);
    wholeStart += length;
  }
}

/** Rows shorter than this are quicker element by element. */
const shortestRow = 8;

function registerTranspose(): void {
  const original = tf.getKernel('Transpose', 'wasm').kernelFunc;
  replaceKernel('wasm', 'Transpose', (call) => {
    const backend = call.backend as WasmBackend;
    const x = call.inputs.x as tf.TensorInfo;
    const { perm } = call.attrs as unknown as { perm: number[] };
    const last = perm.length - 1;
    if (last < 1 || perm[last] !== last || x.shape[last] < shortestRow) return original(call);
    const out = backend.makeOutput(
      perm.map((axis) => x.shape[axis]),
      x.dtype,
    );
    const strides = tf.util.computeStrides(x.shape);
    moveRows(
      backend,
      x,
      out,
      perm.slice(0, -1).map((axis) => strides[axis]),
    );
    return out;
  });
}

/** Copies rows one after another into `out`; `strides` are the steps through `x` along the axes of `out`. */
function moveRows(backend: WasmBackend, x: tf.TensorInfo, out: tf.TensorInfo, strides: readonly number[]): void {
  const memory = memoryOf(backend, x);
  const length = out.shape[strides.length];
  let written = startOf(backend, out);
  const visit = (axis: number, from: number) => {
    for (let i = 0; i < out.shape[axis]; i++) {
      const start = from + i * strides[axis];
      if (axis < strides.length - 1) visit(axis + 1, start);
      else {
        memory.copyWithin(written, start, start + length);
        written += length;
      }
    }
  };
  visit(0, startOf(backend, x));
}

type Memory = Float32Array | Int32Array | Uint8Array;

/** The whole WebAssembly memory in elements of the tensor's type. Memory moves when it grows: do not keep it. */
function memoryOf(backend: WasmBackend, tensor: tf.TensorInfo): Memory {
  const view = backend.typedArrayFromHeap(tensor);
  return new (view.constructor as new (buffer: ArrayBufferLike) => Memory)(view.buffer);
}

function startOf(backend: WasmBackend, tensor: tf.TensorInfo): number {
  return backend.dataIdMap.get(tensor.dataId).memoryOffset / tf.util.bytesPerElement(tensor.dtype);
}

function replaceAt(shape: readonly number[], axis: number, size: number): number[] {
  return shape.map((each, index) => (index === axis ? size : each));
}
