import * as tf from '@tensorflow/tfjs-core';
import { replaceKernel } from '../composed-kernel.js';
import { pointerOf, type WasmBackend } from './wasm-backend.js';

// Kernels that only move data, as copies of whole rows inside the WebAssembly memory. The backend's own Identity copies
// (and every tensor saved for a gradient passes through it), its SplitV and Concat go through slices, and its Transpose
// walks element by element.

/** Places of rows in the WebAssembly memory: the first byte, and the step in bytes along each axis of rows. */
type Rows = { start: number; steps: readonly number[] };

/** Copies rows of `rowBytes` bytes; `sizes` are the axes of rows, the innermost last. */
export type CopyRows = (backend: WasmBackend, rowBytes: number, sizes: readonly number[], from: Rows, to: Rows) => void;

/**
 * Replaces Identity, Concat, SplitV, Slice and Transpose of the WASM backend.
 *
 * @param copyRows - how rows are copied: on this thread alone, or on several
 */
export function registerBlockCopies(copyRows: CopyRows): void {
  registerIdentity();
  registerConcat(copyRows);
  registerSplit(copyRows);
  registerSlice(copyRows);
  registerTranspose(copyRows);
}

/** Another handle of the same data, as the backend's own Reshape gives. */
function registerIdentity(): void {
  replaceKernel('wasm', 'Identity', ({ inputs, backend }) => {
    const { dataId, shape, dtype } = inputs.x as tf.TensorInfo;
    (backend as WasmBackend).incRef(dataId);
    return { dataId, shape, dtype };
  });
}

function registerConcat(copyRows: CopyRows): void {
  const original = tf.getKernel('Concat', 'wasm').kernelFunc;
  replaceKernel('wasm', 'Concat', (call) => {
    const backend = call.backend as WasmBackend;
    const parts = (call.inputs as unknown as tf.TensorInfo[]).filter(({ shape }) => !shape.includes(0));
    const isPlain = parts.length > 1 && parts.every(({ dtype }) => dtype === parts[0].dtype && dtype !== 'string');
    if (!isPlain) return original(call);
    const [axis] = tf.util.parseAxisParam((call.attrs as unknown as { axis: number }).axis, parts[0].shape);
    const shape = [...parts[0].shape];
    shape[axis] = parts.reduce((sum, part) => sum + part.shape[axis], 0);
    const out = backend.makeOutput(shape, parts[0].dtype);
    forEachPart(backend, out, parts, axis, (inOut, inPart, length, rows) =>
      copyRows(backend, length, [rows], inPart, inOut),
    );
    return out;
  });
}

function registerSplit(copyRows: CopyRows): void {
  replaceKernel('wasm', 'SplitV', ({ inputs, backend: tfBackend, attrs }) => {
    const backend = tfBackend as WasmBackend;
    const x = inputs.x as tf.TensorInfo;
    const { axis: anyAxis, numOrSizeSplits } = attrs as unknown as { axis: number; numOrSizeSplits: number | number[] };
    const [axis] = tf.util.parseAxisParam(anyAxis, x.shape);
    const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, axis);
    const parts = sizes.map((size) => {
      const shape = x.shape.map((length, index) => (index === axis ? size : length));
      return backend.makeOutput(shape, x.dtype);
    });
    forEachPart(backend, x, parts, axis, (inX, inPart, length, rows) => copyRows(backend, length, [rows], inX, inPart));
    return parts;
  });
}

/** Where the rows of each part along an axis are, in the complete tensor and in the part; lengths in bytes. */
function forEachPart(
  backend: WasmBackend,
  complete: tf.TensorInfo,
  parts: readonly tf.TensorInfo[],
  axis: number,
  use: (inComplete: Rows, inPart: Rows, length: number, rows: number) => void,
): void {
  const bytes = tf.util.bytesPerElement(complete.dtype);
  const rows = tf.util.sizeFromShape(complete.shape.slice(0, axis));
  const step = tf.util.sizeFromShape(complete.shape.slice(axis)) * bytes;
  let start = pointerOf(backend, complete);
  for (const part of parts) {
    const length = tf.util.sizeFromShape(part.shape.slice(axis)) * bytes;
    const inPart = { start: pointerOf(backend, part), steps: [length] };
    if (length > 0) use({ start, steps: [step] }, inPart, length, rows);
    start += length;
  }
}

function registerSlice(copyRows: CopyRows): void {
  const original = tf.getKernel('Slice', 'wasm').kernelFunc;
  replaceKernel('wasm', 'Slice', (call) => {
    const backend = call.backend as WasmBackend;
    const x = call.inputs.x as tf.TensorInfo;
    const { begin, size } = call.attrs as unknown as { begin: number | number[]; size: number | number[] };
    const [first, sizes] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size);
    const isCut = sizes.map((length, axis) => length < x.shape[axis]);
    const axis = isCut.lastIndexOf(true); // the rest of a row is copied at once
    if (x.dtype === 'string' || axis < 1 || sizes.includes(0)) return original(call);
    const bytes = tf.util.bytesPerElement(x.dtype);
    const strides = [...tf.util.computeStrides(x.shape), 1].map((stride) => stride * bytes);
    const out = backend.makeOutput(sizes, x.dtype);
    const outSteps = [...tf.util.computeStrides(sizes), 1].slice(0, axis).map((stride) => stride * bytes);
    const start = pointerOf(backend, x) + first.reduce((sum, place, index) => sum + place * strides[index], 0);
    const rowBytes = tf.util.sizeFromShape(sizes.slice(axis)) * bytes;
    const inOut = { start: pointerOf(backend, out), steps: outSteps };
    copyRows(backend, rowBytes, sizes.slice(0, axis), { start, steps: strides.slice(0, axis) }, inOut);
    return out;
  });
}

/** Rows shorter than this are faster element by element. */
const shortestRow = 8;

function registerTranspose(copyRows: CopyRows): void {
  const original = tf.getKernel('Transpose', 'wasm').kernelFunc;
  replaceKernel('wasm', 'Transpose', (call) => {
    const backend = call.backend as WasmBackend;
    const x = call.inputs.x as tf.TensorInfo;
    const { perm } = call.attrs as unknown as { perm: number[] };
    const last = perm.length - 1;
    if (last < 1 || perm[last] !== last || x.shape[last] < shortestRow) return original(call);
    const shape = perm.map((axis) => x.shape[axis]);
    const out = backend.makeOutput(shape, x.dtype);
    const bytes = tf.util.bytesPerElement(x.dtype);
    const steps = tf.util.computeStrides(x.shape).map((stride) => stride * bytes);
    const outSteps = tf.util.computeStrides(shape).map((stride) => stride * bytes);
    const inX = { start: pointerOf(backend, x), steps: perm.slice(0, -1).map((axis) => steps[axis]) };
    const inOut = { start: pointerOf(backend, out), steps: outSteps };
    copyRows(backend, shape[last] * bytes, shape.slice(0, -1), inX, inOut);
    return out;
  });
}

/** Copies rows one after another on this thread. */
export const copyRowsHere: CopyRows = (backend, rowBytes, sizes, from, to) => {
  const memory = backend.wasm.HEAPU8;
  const visit = (axis: number, read: number, write: number) => {
    if (axis === sizes.length) {
      memory.copyWithin(write, read, read + rowBytes);
      return;
    }
    for (let i = 0; i < sizes[axis]; i++) visit(axis + 1, read + i * from.steps[axis], write + i * to.steps[axis]);
  };
  visit(0, from.start, to.start);
};
