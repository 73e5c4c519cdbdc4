import * as tf from '@tensorflow/tfjs-core';
import { jobs, type ThreadPool } from './thread-pool.js';
import { pointerOf, type WasmBackend } from './wasm-backend.js';

// Matrix products on all threads, see threaded-kernels.c.
//
// M, N = rows and columns of the product, K = the axis summed over

const ROWS = 6; // of a block
const COLUMNS = 8; // of a panel
const PANELS = 32; // of an item, so that its part of the right matrix stays in the cache

/** The left matrices: where their values are, and how rows and sums step through them. */
export type LeftMatrices = {
  pointer: number;
  rowStride: number;
  kStride: number;
  /** Values between two matrices; 0 uses one matrix for all. */
  batchStride: number;
  /** For convolutions: the matrix of the patches that each output pixel sees, or its transpose. */
  patches?: { transposed: boolean; geometry: PatchGeometry };
};

export type PatchGeometry = {
  height: number;
  width: number;
  channels: number;
  outHeight: number;
  outWidth: number;
  filterWidth: number;
  strideY: number;
  strideX: number;
  padTop: number;
  padLeft: number;
};

export type RightMatrices = { pointer: number; kStride: number; columnStride: number; batchStride: number };

type Sizes = { batch: number; M: number; K: number; N: number };

/** Writes left · right into `out`, [batch, M, N]. */
export function multiply(pool: ThreadPool, left: LeftMatrices, right: RightMatrices, out: number, sizes: Sizes): void {
  const { batch, M, K, N } = sizes;
  if (batch > LARGEST_BATCH) {
    multiplyHalves(pool, left, right, out, sizes);
    return;
  }
  const panels = Math.ceil(N / COLUMNS);
  const packsItself = batch >= 2 * pool.threads && right.batchStride > 0 && panels * COLUMNS * K <= pool.packedFloats;
  const packed = packsItself ? undefined : packRight(pool, right, sizes);
  const rows = packsItself ? M : rowsOfItem(pool, sizes);
  const panelsOfItem = packsItself ? panels : Math.min(panels, PANELS);
  const items = batch * Math.ceil(M / rows) * Math.ceil(panels / panelsOfItem);
  const { patches } = left;
  const geometry = patches
    ? [1, Number(patches.transposed), ...geometryValues(patches.geometry)]
    : [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0];
  pool.run(jobs.multiply, items, [
    left.pointer,
    packed?.pointer ?? right.pointer,
    out,
    M,
    K,
    N,
    rows,
    panelsOfItem,
    left.batchStride,
    packed?.batchStride ?? right.batchStride,
    left.rowStride,
    left.kStride,
    right.kStride,
    right.columnStride,
    packed ? 1 : 0,
    ...geometry,
  ]);
}

/** A job has at most 2^20 items. */
const LARGEST_BATCH = 2 ** 14;

function multiplyHalves(pool: ThreadPool, left: LeftMatrices, right: RightMatrices, out: number, sizes: Sizes): void {
  const { batch, M, N } = sizes;
  const first = Math.floor(batch / 2);
  const behind = (start: number, stride: number) => start + 4 * first * stride;
  multiply(pool, left, right, out, { ...sizes, batch: first });
  multiply(
    pool,
    { ...left, pointer: behind(left.pointer, left.batchStride) },
    { ...right, pointer: behind(right.pointer, right.batchStride) },
    behind(out, M * N),
    { ...sizes, batch: batch - first },
  );
}

function packRight(pool: ThreadPool, right: RightMatrices, { batch, K, N }: Sizes) {
  const panels = Math.ceil(N / COLUMNS);
  const matrices = right.batchStride > 0 ? batch : 1;
  const floats = panels * COLUMNS * K;
  const pointer = pool.buffer(matrices * floats);
  const panelsOfItem = Math.max(1, Math.ceil((matrices * panels) / (4 * pool.threads)));
  const items = matrices * Math.ceil(panels / panelsOfItem);
  const strides = [right.kStride, right.columnStride, right.batchStride];
  pool.run(jobs.pack, items, [right.pointer, pointer, K, N, ...strides, panelsOfItem]);
  return { pointer, batchStride: matrices > 1 ? floats : 0 };
}

/** Enough items that threads end at about the same time, and few enough that taking them costs nothing. */
function rowsOfItem(pool: ThreadPool, { batch, M, N }: Sizes): number {
  const blocks = Math.ceil(M / ROWS);
  const wanted = pool.threads === 1 ? 1 : 8 * pool.threads;
  const parts = Math.ceil(wanted / (batch * Math.ceil(N / (COLUMNS * PANELS))));
  return ROWS * Math.ceil(blocks / Math.min(blocks, parts));
}

function geometryValues(g: PatchGeometry): number[] {
  return [
    g.height,
    g.width,
    g.channels,
    g.outHeight,
    g.outWidth,
    g.filterWidth,
    g.strideY,
    g.strideX,
    g.padTop,
    g.padLeft,
  ];
}

/**
 * Below this many multiplications per matrix of a batch, TensorFlow.js sums in blocks of 48, which rounds differently
 * when K is larger. These products stay as they are, so that results do not depend on whether there are threads.
 */
const smallest = 2 ** 15;
const BLOCK = 48;

/** The kernel BatchMatMul: any leading axes that broadcast, either side transposed. */
export function batchMatMul(pool: ThreadPool, original: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
    const { a, b } = call.inputs as { a: tf.Tensor; b: tf.Tensor };
    const { transposeA, transposeB } = call.attrs as unknown as { transposeA: boolean; transposeB: boolean };
    const outer = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const batch = tf.util.sizeFromShape([...outer]);
    const [M, K] = transposeA ? [a.shape.at(-1) ?? 0, a.shape.at(-2) ?? 0] : a.shape.slice(-2);
    const N = transposeB ? (b.shape.at(-2) ?? 0) : (b.shape.at(-1) ?? 0);
    const isOne = tf.util.sizeFromShape(b.shape.slice(0, -2)) === 1;
    if (!isOne && K > BLOCK && M * K * N < smallest) return original(call);
    const out = backend.makeOutput([...outer, M, N], 'float32');
    if (batch * M * N === 0) return out;
    if (K === 0) {
      backend.typedArrayFromHeap(out).fill(0);
      return out;
    }
    const [left, right] = tf.tidy(() => [matrices(a, outer), matrices(b, outer)]);
    const [leftBatch, rightBatch] = [left.size > M * K ? M * K : 0, right.size > K * N ? K * N : 0];
    const asOne = rightBatch === 0 && !transposeA; // one right matrix for all: the left ones are a single tall matrix
    multiply(
      pool,
      {
        pointer: pointerOf(backend, left),
        rowStride: transposeA ? 1 : K,
        kStride: transposeA ? M : 1,
        batchStride: asOne ? 0 : leftBatch,
      },
      {
        pointer: pointerOf(backend, right),
        kStride: transposeB ? 1 : N,
        columnStride: transposeB ? K : 1,
        batchStride: rightBatch,
      },
      pointerOf(backend, out),
      asOne ? { batch: 1, M: batch * M, K, N } : { batch, M, K, N },
    );
    left.dispose();
    right.dispose();
    return out;
  };
}

/** The matrices of a tensor, one or as many as the product has. */
function matrices(x: tf.Tensor, outer: readonly number[]): tf.Tensor {
  const isOne = tf.util.sizeFromShape(x.shape.slice(0, -2)) === 1;
  const isAll = tf.util.arraysEqual(x.shape.slice(0, -2), [...outer]);
  return isOne || isAll ? tf.reshape(x, x.shape) : tf.broadcastTo(x, [...outer, ...x.shape.slice(-2)]);
}
