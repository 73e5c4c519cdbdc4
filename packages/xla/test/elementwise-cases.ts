import * as tf from '@tensorflow/tfjs-core';
import { binary, type Case, flags, inside, integers, numbers, of, positive, unary } from './kernel-inputs.js';

/** Elementwise operations and operations on shapes; most with their gradients. */
export const elementwiseCases: Record<string, Case> = {
  abs: unary(tf.abs),
  acos: unary(tf.acos, inside),
  acosh: unary((x) => tf.acosh(tf.add(x, 1.5)), positive),
  asin: unary(tf.asin, inside),
  asinh: unary(tf.asinh),
  atan: unary(tf.atan),
  atanh: unary(tf.atanh, inside),
  ceil: unary(tf.ceil),
  cos: unary(tf.cos),
  cosh: unary(tf.cosh),
  elu: unary(tf.elu),
  erf: unary(tf.erf),
  exp: unary(tf.exp),
  expm1: unary(tf.expm1),
  floor: unary(tf.floor),
  leakyRelu: unary((x) => tf.leakyRelu(x, 0.1)),
  log: unary(tf.log, positive),
  log1p: unary(tf.log1p, positive),
  neg: unary(tf.neg),
  reciprocal: unary(tf.reciprocal, positive),
  relu: unary(tf.relu),
  relu6: unary((x) => tf.relu6(tf.mul(x, 5))),
  round: unary(tf.round),
  rsqrt: unary(tf.rsqrt, positive),
  selu: unary(tf.selu),
  sigmoid: unary(tf.sigmoid),
  sign: unary(tf.sign),
  sin: unary(tf.sin),
  sinh: unary(tf.sinh),
  softplus: unary(tf.softplus),
  sqrt: unary(tf.sqrt, positive),
  square: unary(tf.square),
  step: unary((x) => tf.step(x, 0.3), numbers, false),
  tan: unary(tf.tan, inside),
  tanh: unary(tf.tanh),
  zerosLike: unary(tf.zerosLike, numbers, false),
  onesLike: unary(tf.onesLike, numbers, false),
  clipByValue: unary((x) => tf.clipByValue(x, -0.5, 0.7)),
  tests: of(
    () => [tf.tensor1d([1, Number.NaN, Infinity, -Infinity])],
    (x) => [tf.isNaN(x), tf.isInf(x), tf.isFinite(x)],
  ),
  cast: of(
    () => [numbers([6], { low: -3, high: 3 })],
    (x) => [tf.cast(x, 'int32'), tf.cast(tf.cast(x, 'bool'), 'float32')],
  ),

  add: binary(tf.add),
  addN: of(
    () => [numbers([3]), numbers([3], { seed: 2 }), numbers([3], { seed: 3 })],
    (...x) => tf.addN(x),
    true,
  ),
  atan2: binary(tf.atan2),
  div: binary(tf.div),
  maximum: binary(tf.maximum),
  minimum: binary(tf.minimum),
  mul: binary(tf.mul),
  pow: binary(tf.pow),
  prelu: of(
    () => [numbers([2, 3]), positive([3])],
    (x, a) => tf.prelu(x, a),
    true,
  ),
  squaredDifference: binary(tf.squaredDifference),
  sub: binary(tf.sub),
  'mod and floorDiv, of any signs': of(
    () => [tf.tensor1d([7, -7, 7, -7]), tf.tensor1d([3, 3, -3, -3])],
    (a, b) => [tf.mod(a, b), tf.floorDiv(a, b), tf.floorDiv(tf.cast(a, 'int32'), tf.cast(b, 'int32'))],
  ),
  comparisons: of(
    () => [integers([20], 3), integers([20], 3, 2)],
    (a, b) => [
      tf.equal(a, b),
      tf.notEqual(a, b),
      tf.less(a, b),
      tf.lessEqual(a, b),
      tf.greater(a, b),
      tf.greaterEqual(a, b),
    ],
  ),
  logic: of(
    () => [flags([8]), flags([8], 2)],
    (a, b) => [tf.logicalAnd(a, b), tf.logicalOr(a, b), tf.logicalXor(a, b), tf.logicalNot(a)],
  ),
  where: of(
    () => [numbers([3, 4]), numbers([3, 4], { seed: 2 })],
    (a, b) => tf.where(tf.greater(a, 0), a, b),
  ),
  'where, by row': of(
    () => [numbers([3, 1]), numbers([3, 4])],
    (a, b) => tf.where(tf.greater(a, 0), tf.zeros([3, 4]), b),
  ),

  reshape: of(
    () => [numbers([2, 6])],
    (x) => tf.expandDims(tf.reshape(x, [3, -1]), 1),
    true,
  ),
  transpose: of(
    () => [numbers([2, 3, 4])],
    (x) => tf.transpose(x, [2, 0, 1]),
    true,
  ),
  slice: of(
    () => [numbers([5, 6])],
    (x) => tf.slice(x, [1, 2], [3, -1]),
    true,
  ),
  stridedSlice: of(
    () => [numbers([5, 6])],
    (x) => tf.stridedSlice(x, [4, 1], [0, 6], [-2, 3]),
  ),
  pad: of(
    () => [numbers([2, 3])],
    (x) =>
      tf.pad(
        x,
        [
          [1, 0],
          [0, 2],
        ],
        7,
      ),
    true,
  ),
  mirrorPad: of(
    () => [numbers([3, 4])],
    (x) => [
      tf.mirrorPad(
        x,
        [
          [1, 2],
          [0, 3],
        ],
        'reflect',
      ),
      tf.mirrorPad(
        x,
        [
          [1, 2],
          [2, 0],
        ],
        'symmetric',
      ),
    ],
  ),
  concat: of(
    () => [numbers([2, 3]), numbers([2, 1])],
    (a, b) => tf.concat([a, b], 1),
    true,
  ),
  stack: of(
    () => [numbers([2, 3]), numbers([2, 3], { seed: 2 })],
    (a, b) => tf.stack([a, b], 1),
    true,
  ),
  unstack: of(
    () => [numbers([3, 2])],
    (x) => tf.unstack(x, 0)[1],
    true,
  ),
  split: of(
    () => [numbers([2, 6])],
    (x) => tf.split(x, [1, 2, 3], 1)[2],
    true,
  ),
  tile: of(
    () => [numbers([2, 3])],
    (x) => tf.tile(x, [2, 3]),
    true,
  ),
  broadcastTo: of(
    () => [numbers([2, 1])],
    (x) => tf.broadcastTo(x, [4, 2, 3]),
    true,
  ),
  reverse: of(
    () => [numbers([2, 3, 4])],
    (x) => tf.reverse(x, [0, 2]),
    true,
  ),
  oneHot: of(
    () => [integers([7], 5)],
    (x) => tf.oneHot(x as tf.Tensor1D, 4, 2, -1),
  ),
  diag: of(
    () => [numbers([3])],
    (x) => tf.diag(x),
  ),
  'spaceToBatchND and back': of(
    () => [numbers([1, 4, 6, 2])],
    (x) => [
      tf.spaceToBatchND(
        x,
        [2, 3],
        [
          [0, 0],
          [1, 2],
        ],
      ),
      tf.batchToSpaceND(
        tf.spaceToBatchND(
          x,
          [2, 2],
          [
            [0, 0],
            [0, 0],
          ],
        ),
        [2, 2],
        [
          [0, 1],
          [1, 0],
        ],
      ),
    ],
  ),
  depthToSpace: of(
    () => [numbers([1, 2, 3, 8])],
    (x) => tf.depthToSpace(x as tf.Tensor4D, 2),
  ),
  ranges: of(
    () => [],
    () => [tf.range(0, 5), tf.range(9, 2, -3, 'int32'), tf.range(4, -2), tf.linspace(0, 1, 5), tf.fill([2], 3)],
  ),
};
