import * as tf from '@tensorflow/tfjs-core';
import { replaceKernel } from '../composed-kernel.js';
import { forEachPart, type WasmBackend } from './wasm-backend.js';

// Products on one thread, for browsers and wherever memory cannot be shared; threaded-product.ts has the others.
//
// The WASM backend multiplies two plain matrices through XNNPACK, at some 20 GFLOP/s a core, but transposed or batched
// ones by a loop at 1 to 2; and those are what gradients and attention are made of. So: transpose first, which is only
// a copy, and hand the matrices of a batch to XNNPACK one by one, as parts of the same memory.

/** Below this many multiplications a matrix, the set-up of an XNNPACK call costs more than the loop. */
const smallestForXnnpack = 2 ** 15;

type Multiply = (
  a: number,
  aShape: Uint8Array,
  aRank: 3,
  b: number,
  bShape: Uint8Array,
  bRank: 3,
  transposeA: boolean,
  transposeB: boolean,
  out: number,
) => void;

const multiplyOf = new WeakMap<WasmBackend, Multiply>();

/** Replaces the BatchMatMul kernel of the WASM backend. */
export function registerMatrixProduct(): void {
  replaceKernel('wasm', 'BatchMatMul', multiplyByXnnpack);
}

/** The kernel BatchMatMul on one thread. */
export const multiplyByXnnpack: tf.KernelFunc = ({ inputs, backend, attrs }) => {
  const { a, b } = inputs as { a: tf.Tensor; b: tf.Tensor };
  const { transposeA, transposeB } = attrs as unknown as { transposeA: boolean; transposeB: boolean };
  const outer = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [left, right] = tf.tidy(() => [asBatch(a, transposeA, outer), asBatch(b, transposeB, outer)]);
  const out = multiplyBatch(backend as WasmBackend, left, right);
  left.dispose();
  right.dispose();
  return { ...out, shape: [...outer, ...out.shape.slice(1)] };
};

/** The tensor as plain matrices [batch, rows, columns], one or as many as the product has. */
function asBatch(x: tf.Tensor, transposed: boolean, outer: readonly number[]): tf.Tensor3D {
  const [rows, columns] = x.shape.slice(-2);
  const count = tf.util.sizeFromShape([...outer]);
  const isOne = tf.util.sizeFromShape(x.shape.slice(0, -2)) === 1;
  const whole = isOne ? x : tf.broadcastTo(x, [...outer, rows, columns]);
  const batch = tf.reshape<tf.Rank.R3>(whole, [isOne ? 1 : count, rows, columns]);
  return transposed ? tf.transpose(batch, [0, 2, 1]) : batch;
}

// B = matrices in the batch, M and N = rows and columns of the product, K = the axis summed over
function multiplyBatch(backend: WasmBackend, a: tf.Tensor3D, b: tf.Tensor3D): tf.TensorInfo {
  const [M, K] = a.shape.slice(1);
  const N = b.shape[2];
  const B = Math.max(a.shape[0], b.shape[0]);
  const out = backend.makeOutput([B, M, N], 'float32');
  const multiply = multiplyFor(backend);
  // One right matrix for all: the left ones are a single tall matrix.
  if (b.shape[0] === 1) {
    forEachPart(backend, [a, b, out], [a.size, b.size, B * M * N], 1, ([left, right, product]) => {
      multiply(left, bytes([1, B * M, K]), 3, right, bytes([1, K, N]), 3, false, false, product);
    });
  } else if (M * K * N < smallestForXnnpack) {
    forEachPart(backend, [a, b, out], [a.size, b.size, B * M * N], 1, ([left, right, product]) => {
      multiply(left, bytes(a.shape), 3, right, bytes(b.shape), 3, false, false, product);
    });
  } else {
    const [aShape, bShape] = [bytes([1, M, K]), bytes([1, K, N])];
    forEachPart(backend, [a, b, out], [M * K, K * N, M * N], B, ([left, right, product]) => {
      multiply(left, aShape, 3, right, bShape, 3, false, false, product);
    });
  }
  return out;
}

function multiplyFor(backend: WasmBackend): Multiply {
  let multiply = multiplyOf.get(backend);
  if (!multiply) {
    const matrix = ['number', 'array', 'number'];
    multiply = backend.wasm.cwrap('BatchMatMul', null, [
      ...matrix,
      ...matrix,
      'number',
      'number',
      'number',
    ]) as Multiply;
    multiplyOf.set(backend, multiply);
  }
  return multiply;
}

function bytes(shape: readonly number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(shape).buffer);
}
