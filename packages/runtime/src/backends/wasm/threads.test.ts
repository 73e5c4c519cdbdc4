import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useBackend } from '../../index.js';
import { randomKernels } from '../../random/random-kernels.js';
import { multiplyByXnnpack } from './matrix-product.js';
import { withSharedMemory } from './shared-memory.js';
import { startThreads, type ThreadPool } from './thread-pool.js';
import { convolution, filterGradient } from './threaded-convolution.js';
import { dropoutMask, leadingSum } from './threaded-data.js';
import { sourceSha256 } from './threaded-kernels.wasm.js';
import { batchMatMul } from './threaded-product.js';
import type { WasmBackend } from './wasm-backend.js';

let pools: ThreadPool[];
const never: tf.KernelFunc = () => {
  throw new Error('the threaded kernel must compute this itself');
};

beforeAll(async () => {
  const { reason } = await useBackend('wasm', { threads: 2 });
  expect(reason).toBe('WebAssembly on 2 threads');
  pools = [1, 2, 3, 7].map((threads) => startThreads(tf.backend() as unknown as WasmBackend, threads));
});

/** Runs a kernel on the active backend and reads its result. */
function run(kernel: tf.KernelFunc, inputs: Record<string, tf.Tensor>, attrs: object = {}): number[] {
  const backend = tf.backend();
  const info = kernel({ inputs, backend, attrs: attrs as tf.NamedAttrMap }) as tf.TensorInfo;
  const values = Array.from(backend.readSync(info.dataId) as Float32Array);
  backend.disposeData(info.dataId);
  return values;
}

/** The kernel must give the same bits with any number of threads; gives them. */
function sameOnAll(kernel: (pool: ThreadPool) => tf.KernelFunc, inputs: Record<string, tf.Tensor>, attrs: object = {}) {
  const [first, ...others] = pools.map((pool) => run(kernel(pool), inputs, attrs));
  for (const values of others) expect(values).toEqual(first);
  return first;
}

const random = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);

describe('the matrix product on threads', () => {
  const size = fc.integer({ min: 1, max: 70 });
  const plain = fc.record({ M: size, K: fc.integer({ min: 1, max: 600 }), N: size, seed: fc.nat(1000) });

  test('gives the bits of XNNPACK for any sizes and transpositions', () => {
    fc.assert(
      fc.property(plain, fc.boolean(), fc.boolean(), ({ M, K, N, seed }, transposeA, transposeB) => {
        const a = random(transposeA ? [K, M] : [M, K], seed);
        const b = random(transposeB ? [N, K] : [K, N], seed + 1);
        const attrs = { transposeA, transposeB };
        expect(sameOnAll((pool) => batchMatMul(pool, multiplyByXnnpack), { a, b }, attrs)).toEqual(
          run(multiplyByXnnpack, { a, b }, attrs),
        );
        tf.dispose([a, b]);
      }),
      { seed: 1, numRuns: 40 },
    );
  });

  test.each([
    ['a batch', [5, 40, 41], [5, 41, 42]],
    ['a batch that threads pack themselves', [100, 17, 30], [100, 30, 21]],
    ['a batch with more matrices than a job has items', [40_000, 2, 3], [40_000, 3, 1]],
    ['a batch of small matrices', [9, 4, 128], [9, 128, 4]],
    ['one right matrix', [5, 40, 41], [1, 41, 42]],
    ['one left matrix', [1, 40, 41], [30, 41, 42]],
    ['crossed broadcast', [2, 1, 40, 30], [1, 3, 30, 50]],
    ['nothing to sum', [4, 0], [0, 5]],
  ])('gives the bits of XNNPACK for %s', (_name, aShape, bShape) => {
    const [a, b] = [random(aShape, 1), random(bShape, 2)];
    const attrs = { transposeA: false, transposeB: false };
    const values = sameOnAll((pool) => batchMatMul(pool, multiplyByXnnpack), { a, b }, attrs);
    const expected = aShape.includes(0) ? values.map(() => 0) : run(multiplyByXnnpack, { a, b }, attrs);
    expect(values).toEqual(expected);
    tf.dispose([a, b]);
  });
});

describe('convolutions on threads', () => {
  const cases = [
    { name: 'same padding', x: [2, 9, 11, 5], filter: [3, 3, 5, 7], strides: 1, pad: 'same' },
    { name: 'strides', x: [2, 9, 11, 5], filter: [3, 3, 5, 7], strides: 2, pad: 'same' },
    { name: 'no padding', x: [1, 8, 8, 3], filter: [2, 4, 3, 9], strides: [1, 3], pad: 'valid' },
    { name: 'one tap', x: [3, 6, 5, 16], filter: [1, 1, 16, 4], strides: 1, pad: 'valid' },
    {
      name: 'explicit padding',
      x: [1, 7, 6, 3],
      filter: [3, 3, 3, 8],
      strides: 2,
      pad: [
        [0, 0],
        [0, 1],
        [0, 1],
        [0, 0],
      ],
    },
  ] as const;

  test.each(cases)('agree with the cpu backend: $name', async ({ x: shape, filter: filterShape, strides, pad }) => {
    const compute = () => {
      const [x, filter] = [random([...shape], 1) as tf.Tensor4D, random([...filterShape], 2) as tf.Tensor4D];
      const forward = (w: tf.Tensor) => tf.conv2d(x, w as tf.Tensor4D, strides as never, pad as never);
      const gradient = tf.grad((w: tf.Tensor) => tf.square(forward(w)))(filter);
      return [forward(filter), gradient].map((tensor) => Array.from(tensor.dataSync<'float32'>()));
    };
    const actual = tf.tidy(compute);
    await useBackend('cpu');
    const expected = tf.tidy(compute);
    await useBackend('wasm');
    for (const [index, values] of expected.entries()) {
      const largest = Math.max(...values.map(Math.abs));
      for (const [i, value] of values.entries())
        expect(Math.abs(actual[index][i] - value)).toBeLessThan(3e-6 * largest);
    }
  });

  test('give the same bits on any number of threads', () => {
    const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: 1, filterShape: [3, 3, 24, 40] };
    const [x, filter, dy] = [random([2, 20, 20, 24], 1), random([3, 3, 24, 40], 2), random([2, 20, 20, 40], 3)];
    sameOnAll((pool) => convolution(pool, never), { x, filter }, attrs);
    sameOnAll((pool) => filterGradient(pool, never), { x, dy }, attrs);
    tf.dispose([x, filter, dy]);
  });
});

describe('sums and masks on threads', () => {
  test('a sum over leading axes is the one in float64', () => {
    const x = random([300, 7, 130], 1);
    const values = x.dataSync<'float32'>();
    const expected = Array.from({ length: 130 }, (_, column) => {
      let sum = 0;
      for (let row = 0; row < 2100; row++) sum += values[row * 130 + column];
      return Math.fround(sum);
    });
    expect(sameOnAll((pool) => leadingSum(pool, never), { x }, { axis: [0, 1], keepDims: false })).toEqual(expected);
    x.dispose();
  });

  test.each([1, 3, 16, 17, 5000, 70_001])('a dropout mask of %i elements is the one of the host', (elements) => {
    const key = tf.tensor1d([-7, 123456789], 'int32');
    const attributes = { shape: [elements], keepProbability: 0.9 };
    const mask = sameOnAll((pool) => dropoutMask(pool, never), { key }, attributes);
    const keyValues = { key: key.dataSync<'int32'>(), data: new Int32Array() };
    expect(mask).toEqual(Array.from(randomKernels.DropoutMask.compute(keyValues, attributes)));
    key.dispose();
  });
});

describe('the WebAssembly code', () => {
  test('was compiled from the present C file', () => {
    const source = readFileSync(new URL('threaded-kernels.c', import.meta.url));
    expect(createHash('sha256').update(source).digest('hex')).toBe(sourceSha256);
  });

  test('cannot have shared memory where it has none of bounded size', () => {
    const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    expect(() => withSharedMemory(empty)).toThrow('no memory of bounded size');
    const unbounded = Uint8Array.of(...empty, 5, 3, 1, 0, 1);
    expect(() => withSharedMemory(unbounded)).toThrow('no memory of bounded size');
  });
});

test('a number of threads that is none is refused', async () => {
  const { startThreaded } = await import('./threads.js');
  await expect(startThreaded(0)).rejects.toThrow('threads must be a whole number from 1 on, got 0');
  await expect(startThreaded(Number('two'))).rejects.toThrow('got NaN');
});

afterAll(() => expect(tf.memory().numTensors).toBe(0));
