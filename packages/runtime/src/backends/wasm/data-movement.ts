import * as tf from '@tensorflow/tfjs-core';
import { composedKernel, replaceKernel } from '../composed-kernel.js';
import type { WasmBackend } from './wasm-backend.js';

/** Replaces kernels of the WASM backend that are wrong for integers and booleans, and its element-wise Tile. */
export function registerDataMovement(): void {
  registerTile();
  registerClipByValue();
  registerSelect();
}

/** Tile by copies of blocks. Every broadcastTo uses it, and the backend's own copies single elements. */
function registerTile(): void {
  replaceKernel('wasm', 'Tile', ({ inputs, backend: tfBackend, attrs }) => {
    const backend = tfBackend as WasmBackend;
    const x = inputs.x as tf.TensorInfo;
    const { reps } = attrs as unknown as { reps: number[] };
    const out = backend.makeOutput(
      x.shape.map((size, axis) => size * reps[axis]),
      x.dtype,
    );
    tile(backend.typedArrayFromHeap(x), x.shape, reps, backend.typedArrayFromHeap(out));
    return out;
  });
}

type Values = Float32Array | Int32Array | Uint8Array;

function tile(source: Values, shape: readonly number[], reps: readonly number[], target: Values): void {
  let read = 0;
  let written = 0;
  const visit = (axis: number) => {
    const start = written;
    if (axis >= shape.length - 1) {
      const length = shape[axis] ?? 1;
      target.set(source.subarray(read, read + length), written);
      read += length;
      written += length;
    } else {
      for (let i = 0; i < shape[axis]; i++) visit(axis + 1);
    }
    const length = written - start;
    const end = start + length * (reps[axis] ?? 1);
    if (length === 1) target.fill(target[start], start, end);
    else for (let at = written; at < end; at += length) target.copyWithin(at, start, start + length);
    written = end;
  };
  if (target.length > 0) visit(0);
}

/** Clips integers; the backend's own kernel reads their bits as floats. */
function registerClipByValue(): void {
  const original = tf.getKernel('ClipByValue', 'wasm').kernelFunc;
  const clipIntegers = composedKernel(({ x }, { clipValueMin, clipValueMax }) =>
    tf.minimum(
      tf.maximum(x, tf.scalar(Math.ceil(clipValueMin), 'int32')),
      tf.scalar(Math.floor(clipValueMax), 'int32'),
    ),
  );
  replaceKernel('wasm', 'ClipByValue', (call) =>
    call.inputs.x?.dtype === 'int32' ? clipIntegers(call) : original(call),
  );
}

/** Selects between booleans; the backend's own kernel reads them as 32-bit numbers. */
function registerSelect(): void {
  const original = tf.getKernel('Select', 'wasm').kernelFunc;
  const selectBooleans = composedKernel(({ condition, t, e }) =>
    tf.cast(tf.where(condition, tf.cast(t, 'int32'), tf.cast(e, 'int32')), 'bool'),
  );
  replaceKernel('wasm', 'Select', (call) => (call.inputs.t?.dtype === 'bool' ? selectBooleans(call) : original(call)));
}
