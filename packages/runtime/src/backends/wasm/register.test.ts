import { expectClose } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { useBackend } from '../../index.js';

/** Runs `compute` on the cpu and the wasm backend; the results must agree and nothing may leak. */
async function expectAgreement(compute: () => tf.Tensor | tf.Tensor[], tolerance = 2e-6) {
  const results: Float32Array[][] = [];
  for (const backend of ['cpu', 'wasm'] as const) {
    await useBackend(backend);
    const before = tf.memory();
    const tensors = [tf.tidy(compute)].flat();
    results.push(tensors.map((tensor) => tensor.dataSync<'float32'>()));
    tf.dispose(tensors);
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
  }
  const [expected, actual] = results;
  for (const [index, values] of expected.entries()) expectClose(actual[index], values, tolerance, `result ${index}`);
}

const random = (shape: number[], seed = 1) => tf.randomUniform(shape, -1, 1, 'float32', seed);

describe('matrix product', () => {
  const cases: [string, number[], number[]][] = [
    ['small', [3, 4], [4, 5]],
    ['large', [70, 90], [90, 33]],
    ['batch', [5, 40, 41], [5, 41, 42]],
    ['small batch', [7, 3, 4], [7, 4, 2]],
    ['one right', [5, 40, 41], [1, 41, 42]],
    ['one left', [1, 40, 41], [3, 41, 42]],
    ['two outer axes', [2, 3, 40, 30], [2, 3, 30, 50]],
    ['crossed broadcast', [2, 1, 40, 30], [1, 3, 30, 50]],
  ];
  const swap = (shape: number[]) => [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
  test.each(cases)('%s, transposed or not', async (name, a, b) => {
    for (const [transposeA, transposeB] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ]) {
      // The cpu backend pairs batches by position, so it needs them written out.
      const outer = tf.broadcast_util.assertAndGetBroadcastShape(a.slice(0, -2), b.slice(0, -2));
      await expectAgreement(() => {
        let x = random(transposeA ? swap(a) : a);
        let y = random(transposeB ? swap(b) : b, 2);
        if (name === 'crossed broadcast' && tf.getBackend() === 'cpu') {
          x = tf.broadcastTo(x, [...outer, ...x.shape.slice(-2)]);
          y = tf.broadcastTo(y, [...outer, ...y.shape.slice(-2)]);
        }
        return tf.matMul(x, y, transposeA, transposeB);
      });
    }
  });

  test('gradients of a batch', () =>
    expectAgreement(() =>
      tf.grads((a, b) => tf.sum(tf.sin(tf.matMul(a, b, false, true))))([random([3, 20, 64]), random([3, 30, 64], 2)]),
    ));
});

describe('convolution gradients', () => {
  const cases: [number[], number[], number, 'same' | 'valid' | number][] = [
    [[2, 7, 6, 3], [3, 3, 3, 5], 1, 'same'],
    [[2, 8, 7, 3], [3, 3, 3, 5], 2, 'same'],
    [[2, 9, 8, 3], [3, 3, 3, 5], 2, 'valid'],
    [[1, 8, 8, 4], [3, 3, 4, 2], 2, 'valid'],
    [[1, 6, 6, 4], [1, 1, 4, 8], 1, 'valid'],
    [[1, 6, 6, 4], [1, 1, 4, 8], 2, 'valid'],
    [[1, 6, 5, 2], [5, 5, 2, 2], 3, 2],
    [[1, 5, 5, 2], [3, 3, 2, 2], 1, 3],
  ];
  test.each(cases)('input %j filter %j stride %j padding %j', (input, filter, stride, pad) =>
    expectAgreement(() =>
      tf.grads((x, w) =>
        tf.sum(
          tf.sin(
            tf.conv2d(
              x as tf.Tensor4D,
              w as tf.Tensor4D,
              stride,
              pad,
              'NHWC',
              1,
              pad === 2 || pad === 3 ? 'floor' : undefined,
            ),
          ),
        ),
      )([random(input), random(filter, 2)]),
    ),
  );

  test('say that only NHWC is supported', async () => {
    await useBackend('wasm');
    const attributes = { strides: 1, pad: 'same', dataFormat: 'NCHW', filterShape: [1, 1, 2, 2] } as never;
    const x = random([1, 2, 3, 3]);
    expect(() => tf.engine().runKernel('Conv2DBackpropFilter', { x, dy: x }, attributes)).toThrow(/must be NHWC/);
    x.dispose();
  });
});

describe('copies of rows', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 4 });
  const wide = [40, 33, 17, 24]; // more than one thread copies it

  /** Checks shapes drawn at random, and one that is large. */
  const forShapes = (check: (shape: number[], draw: (max: number) => number) => Promise<void>) =>
    fc.assert(
      fc.asyncProperty(lengths, fc.infiniteStream(fc.nat()), (shape, numbers) =>
        check(shape, (max) => numbers.next().value % (max + 1)),
      ),
      { seed: 1, numRuns: 25, examples: [[wide, fc.sample(fc.infiniteStream(fc.nat()), { seed: 2, numRuns: 1 })[0]]] },
    );

  test('a slice starts and ends anywhere', () =>
    forShapes(async (shape, draw) => {
      const begin = shape.map((length) => draw(length - 1));
      const size = shape.map((length, axis) => 1 + draw(length - begin[axis] - 1));
      await expectAgreement(() => tf.slice(random(shape), begin, size), 0);
    }));

  test('a transpose keeps or moves the last axis', () =>
    forShapes(async (shape, draw) => {
      const axes = shape.map((_, axis) => axis);
      const order = shape.map(() => axes.splice(draw(axes.length - 1), 1)[0]);
      await expectAgreement(() => tf.transpose(random(shape), order), 0);
    }));

  test('parts come apart and together along any axis', () =>
    forShapes(async (shape, draw) => {
      const axis = draw(shape.length - 1);
      const first = draw(shape[axis]);
      const sizes = [first, shape[axis] - first].filter((size) => size > 0);
      await expectAgreement(() => {
        const parts = tf.split(random(shape), sizes, axis);
        return [...parts, tf.concat([...parts].reverse(), axis)];
      }, 0);
    }));
});

describe('segment sum', () => {
  test('sums the rows of each segment and drops negative ones', async () => {
    for (const dtype of ['float32', 'int32'] as const) {
      await useBackend('wasm');
      const x = tf.tensor2d(
        [
          [1, 2],
          [3, 4],
          [5, 6],
          [7, 8],
        ],
        undefined,
        dtype,
      );
      const sums = tf.unsortedSegmentSum(x, tf.tensor1d([2, 0, 2, -1], 'int32'), 3);
      expect(sums.arraySync()).toEqual([
        [3, 4],
        [0, 0],
        [6, 8],
      ]);
      expect(sums.dtype).toBe(dtype);
    }
  });

  test('gradient of gather', () =>
    expectAgreement(() =>
      tf.grad((x) =>
        tf.sum(
          tf.sin(
            tf.gather(
              x,
              tf.tensor2d(
                [
                  [0, 3],
                  [3, 1],
                ],
                undefined,
                'int32',
              ),
            ),
          ),
        ),
      )(random([4, 6])),
    ));
});
