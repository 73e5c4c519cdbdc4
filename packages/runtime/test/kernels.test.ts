import { expectClose, testBackends } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useBackend } from '../src/index.js';

// Every kernel that the models run, forward and backward, against tfjs's plain JavaScript. N, H, W, C as usual.

type Compute = () => tf.Tensor | tf.Tensor[];

const random = (shape: number[], seed = 1) => tf.randomUniform(shape, 0.1, 0.9, 'float32', seed);
const int = (values: number[], shape = [values.length]) => tf.tensor(values, shape, 'int32');
const bool = (values: number[], shape = [values.length]) => tf.tensor(values, shape, 'bool');

/** Gradients of Σ w·f(inputs), whose weights w differ for every element of the result. */
// biome-ignore lint/suspicious/noExplicitAny: tfjs types its operations by rank.
const gradients = (fn: (...inputs: any[]) => tf.Tensor, ...shapes: number[][]): Compute => {
  const weighted = (...inputs: tf.Tensor[]) => {
    const result = fn(...inputs);
    return tf.sum(tf.mul(result, random(result.shape, 99)));
  };
  return () => tf.grads(weighted)(shapes.map((shape, index) => random(shape, index + 1)));
};

const unary = {
  abs: tf.abs,
  erf: tf.erf,
  exp: tf.exp,
  floor: tf.floor,
  leakyRelu: tf.leakyRelu,
  log: tf.log,
  neg: tf.neg,
  relu: tf.relu,
  rsqrt: tf.rsqrt,
  sigmoid: tf.sigmoid,
  sin: tf.sin,
  cos: tf.cos,
  softplus: tf.softplus,
  sqrt: tf.sqrt,
  square: tf.square,
  step: tf.step,
  tanh: tf.tanh,
  softmax: tf.softmax,
  logSoftmax: tf.logSoftmax,
  zerosLike: tf.zerosLike,
};
const binary = {
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: tf.div,
  maximum: tf.maximum,
  minimum: tf.minimum,
  pow: tf.pow,
  squaredDifference: tf.squaredDifference,
};
const reductions = { sum: tf.sum, mean: tf.mean, max: tf.max, min: tf.min, logSumExp: tf.logSumExp };
const broadcasts: [number[], number[]][] = [
  [
    [2, 3, 4],
    [2, 3, 4],
  ],
  [[2, 3, 4], [4]],
  [
    [2, 3, 4],
    [2, 1, 4],
  ],
  [[2, 3, 4], []],
  [
    [3, 1],
    [2, 3, 4],
  ],
];
const axes: (number | number[] | undefined)[] = [undefined, 0, 1, -1, [1, 2], [0, 2]];

const cases: Record<string, Compute> = {
  ...Object.fromEntries(Object.entries(unary).map(([name, fn]) => [name, gradients(fn as never, [2, 3, 4, 5])])),
  ...Object.fromEntries(
    Object.entries(binary).flatMap(([name, fn]) =>
      broadcasts.map(([a, b]) => [`${name} [${a}] [${b}]`, gradients((x, y) => fn(x, tf.add(y, 0.05)), a, b)]),
    ),
  ),
  ...Object.fromEntries(
    Object.entries(reductions).flatMap(([name, fn]) =>
      axes.flatMap((axis) =>
        [false, true].map((keep) => [`${name} axis ${axis} ${keep}`, gradients((x) => fn(x, axis, keep), [3, 4, 5])]),
      ),
    ),
  ),
  moments: gradients((x) => tf.div(...(Object.values(tf.moments(x, -1, true)) as [tf.Tensor, tf.Tensor])), [2, 3, 8]),
  addN: gradients((x, y) => tf.addN([x, y, x]), [3, 4], [3, 4]),
  clip: gradients((x) => tf.clipByValue(x, 0.3, 0.6), [3, 4]),
  where: gradients((x, y) => tf.where(tf.greater(random([2, 3, 4], 7), 0.5), x, y), [2, 3, 4], [1, 3, 1]),
  tile: gradients((x) => tf.tile(x, [2, 3, 2]), [1, 2, 4]),
  'tile rank 5': gradients((x) => tf.tile(x, [2, 1, 1, 2, 3]), [1, 2, 3, 4, 2]),
  broadcastTo: gradients((x) => tf.broadcastTo(x, [3, 2, 4]), [2, 1]),
  gather: gradients((x) => tf.gather(x, int([0, 2, 2])), [4, 5]),
  'gather axis 1': gradients((x) => tf.gather(x, int([0, 2, 2, 1], [2, 2]), 1), [3, 4, 5]),
  'gather batch': gradients((x) => tf.gather(x, int([0, 2, 2, 1], [2, 2]), 1, 1), [2, 4, 5]),
  slice: gradients((x) => tf.slice(x, [1, 0, 2], [1, 2, 2]), [2, 4, 5]),
  concat: gradients((x, y) => tf.concat([x, y], 1), [2, 3, 4], [2, 5, 4]),
  split: gradients((x) => tf.split(x, [1, 3], 1)[1], [2, 4, 5]),
  unstack: gradients((x) => tf.unstack(x, 1)[1], [2, 4, 5]),
  stack: gradients((x, y) => tf.stack([x, y], 1), [2, 3], [2, 3]),
  pad: gradients(
    (x) =>
      tf.pad(
        x,
        [
          [0, 1],
          [1, 2],
          [0, 0],
        ],
        1,
      ),
    [2, 4, 5],
  ),
  'concat last axis': gradients((x, y, z) => tf.concat([x, y, z], -1), [2, 3, 4], [2, 3, 9], [2, 3, 1]),
  'split last axis': gradients((x) => tf.mul(...(tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor])), [2, 3, 18]),
  'transpose rows': gradients((x) => tf.transpose(x, [0, 2, 1, 3]), [2, 3, 4, 16]),
  'transpose rows cyclically': gradients((x) => tf.transpose(x, [1, 2, 0, 3]), [2, 3, 4, 9]),
  'identity shares, and disposes once': gradients((x) => tf.add(tf.clone(x), tf.clone(tf.clone(x))), [3, 4]),
  transpose: gradients((x) => tf.transpose(x, [2, 0, 3, 1]), [2, 3, 4, 5]),
  reshape: gradients((x) => tf.reshape(x, [6, 20]), [2, 3, 4, 5]),
  expandDims: gradients((x) => tf.expandDims(x, 1), [3, 4]),
  reverse: gradients((x) => tf.reverse(x, 1), [3, 4]),
  cumsum: gradients((x) => tf.cumsum(x, 1, true), [3, 4]),
  'cumsum first axis': gradients((x) => tf.cumsum(x, 0, false, true), [3, 4]),
  matMul: gradients((x, y) => tf.matMul(x, y), [3, 4], [4, 5]),
  'matMul batch': gradients((x, y) => tf.matMul(x, y, false, true), [2, 3, 40, 30], [2, 3, 50, 30]),
  'matMul broadcast': gradients((x, y) => tf.matMul(x, y), [3, 6, 4], [4, 5]),
  conv2d: gradients((x, w) => tf.conv2d(x, w, 1, 'same'), [2, 5, 6, 3], [3, 3, 3, 4]),
  'conv2d stride 2': gradients((x, w) => tf.conv2d(x, w, 2, 'valid'), [2, 7, 9, 3], [3, 3, 3, 4]),
  'conv2d padded by 1': gradients((x, w) => tf.conv2d(x, w, 1, 1), [2, 5, 6, 3], [3, 3, 3, 4]),
  'conv2d padded at two sides': gradients(
    (x, w) => {
      const [none, end]: [number, number][] = [
        [0, 0],
        [0, 1],
      ];
      return tf.conv2d(x, w, 2, [none, end, end, none], 'NHWC', 1, 'floor');
    },
    [2, 6, 9, 3],
    [3, 3, 3, 4],
  ),
  resizeNearestNeighbor: gradients((x) => tf.image.resizeNearestNeighbor(x, [6, 8]), [2, 3, 4, 5]),
  avgPool: gradients((x) => tf.avgPool(x, 2, 2, 'valid'), [2, 4, 4, 3]),
  'one-hot cross-entropy': gradients((x) => tf.mul(tf.oneHot(int([1, 2, 0]), 4), tf.logSoftmax(x)), [3, 4]),
  topk: () => Object.values(tf.topk(random([3, 8]), 8)),
  comparisons: () =>
    [tf.equal, tf.notEqual, tf.less, tf.lessEqual, tf.greater, tf.greaterEqual].flatMap((compare) => [
      compare(int([1, 5, 3]), int([2, 5, 1])),
      compare(tf.tensor1d([1, 5, 3]), tf.scalar(3)),
    ]),
  'integer arithmetic': () =>
    [tf.add, tf.sub, tf.mul, tf.floorDiv, tf.mod, tf.maximum, tf.minimum].map((fn) => fn(int([7, 9]), int([2, 9]))),
  'integer movement': () => [
    tf.clipByValue(int([1, 5, 9]), 2, 6),
    tf.sum(int([1, 2, 3, 4], [2, 2]), 0),
    tf.max(int([1, 2, 3])),
    tf.cumsum(int([1, 2, 3])),
    tf.gather(int([1, 2, 3, 4], [2, 2]), int([1, 0, 0, 1], [2, 2]), 1, 1),
    tf.concat([int([1, 2]), int([3])]),
    tf.slice(int([1, 2, 3]), 1, 2),
    tf.pad(int([1, 2, 3]), [[1, 1]], 7),
    tf.tile(int([1, 2]), [3]),
    tf.transpose(int([1, 2, 3, 4], [2, 2])),
    tf.where(bool([1, 0]), int([1, 2]), int([3, 4])),
    tf.oneHot(int([1, 0, -1]), 3),
    tf.range(0, 5, 1, 'int32'),
    tf.argMax(random([3, 4]), -1),
    tf.stack([int([1]), int([2])]),
    tf.scatterND(int([1, 0], [2, 1]), int([5, 6]), [3]),
  ],
  booleans: () => [
    tf.logicalAnd(bool([1, 0]), bool([1, 1])),
    tf.logicalOr(bool([1, 0]), bool([0, 0])),
    tf.logicalNot(bool([1, 0])),
    tf.where(bool([1, 0]), bool([1, 0]), bool([0, 1])),
    tf.any(bool([1, 0, 0, 0], [2, 2]), 1),
    tf.all(bool([1, 0, 1, 1], [2, 2]), 1),
    tf.concat([bool([1, 0]), bool([1])]),
    tf.tile(bool([1, 0]), [2]),
    tf.gather(bool([1, 0]), int([1, 1, 0])),
    tf.sum(bool([1, 1])),
  ],
};

type Result = { shape: number[]; dtype: string; values: number[] };

function results(compute: Compute): Result[] {
  const tensors = [tf.tidy(compute)].flat();
  const read = tensors.map((tensor) => ({
    shape: tensor.shape,
    dtype: tensor.dtype,
    values: Array.from(tensor.dataSync()),
  }));
  tf.dispose(tensors);
  return read;
}

describe.each(testBackends)('kernels of %s', (backend) => {
  const expected: Record<string, Result[]> = {};

  beforeAll(async () => {
    await useBackend('cpu');
    for (const [name, compute] of Object.entries(cases)) expected[name] = results(compute);
    await useBackend(backend);
  });

  test.each(Object.keys(cases))('%s', (name) => {
    const before = tf.memory();
    const actual = results(cases[name]);
    for (const [index, { shape, dtype, values }] of actual.entries()) {
      expect({ shape, dtype }).toEqual({ shape: expected[name][index].shape, dtype: expected[name][index].dtype });
      expectClose(values, expected[name][index].values, 2e-5, `result ${index}`);
    }
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
  });
});
