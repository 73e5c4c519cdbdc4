import { foldIn, randomKey, uniform } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type Case, flags, image, integers, numbers, of, positive } from './kernel-inputs.js';

/** Reductions, products, convolutions, indexing, random numbers; most with their gradients. */
export const arrayCases: Record<string, Case> = {
  reductions: of(
    () => [numbers([2, 3, 4])],
    (x) => [tf.max(x, 1), tf.min(x, [0, 2], true), tf.prod(x, 2), tf.sum(x), tf.mean(x, [0, 2])],
  ),
  sum: of(
    () => [numbers([2, 3, 4])],
    (x) => tf.sum(x, [0, 2]),
    true,
  ),
  mean: of(
    () => [numbers([2, 3, 4])],
    (x) => tf.mean(x, 1, true),
    true,
  ),
  max: of(
    () => [numbers([2, 3, 4])],
    (x) => tf.max(x, -1),
    true,
  ),
  'all and any': of(
    () => [flags([4, 3])],
    (x) => [tf.all(x, 0), tf.any(x, 1)],
  ),
  'argMax and argMin, of equals the first': of(
    () => [integers([3, 9], 4)],
    (x) => [tf.argMax(x, 1), tf.argMin(x, 0)],
  ),
  'argMax next to NaN': of(
    () => [tf.tensor1d([1, Number.NaN, 5, 2])],
    (x) => tf.argMax(x),
  ),
  cumsum: of(
    () => [numbers([3, 5])],
    (x) => tf.cumsum(x, 1),
    true,
  ),
  'cumsum and cumprod, exclusive and reversed': of(
    () => [numbers([3, 5])],
    (x) => [tf.cumsum(x, 0, true, true), tf.cumprod(x, 1, true)],
  ),
  softmax: of(
    () => [numbers([2, 3, 4])],
    (x) => tf.softmax(x),
    true,
  ),
  logSoftmax: of(
    () => [numbers([2, 4])],
    (x) => tf.logSoftmax(x),
    true,
  ),
  'topk, few and all': of(
    () => [numbers([2, 40])],
    (x) => {
      const few = tf.topk(x, 3);
      const all = tf.topk(x, 40);
      return [few.values, few.indices, all.values, all.indices];
    },
  ),
  searchSorted: of(
    () => [tf.tensor2d([[1, 3, 3, 7]]), tf.tensor2d([[0, 1, 3, 8]])],
    (sequence, values) => [tf.searchSorted(sequence, values, 'left'), tf.searchSorted(sequence, values, 'right')],
  ),

  matMul: of(
    () => [numbers([3, 4]), numbers([4, 5], { seed: 2 })],
    (a, b) => tf.matMul(a, b),
    true,
  ),
  'matMul, both transposed': of(
    () => [numbers([4, 3]), numbers([5, 4], { seed: 2 })],
    (a, b) => tf.matMul(a, b, true, true),
    true,
  ),
  'matMul, batched': of(
    () => [numbers([2, 3, 4]), numbers([2, 5, 4], { seed: 2 })],
    (a, b) => tf.matMul(a, b, false, true),
    true,
  ),
  'matMul, one right side for a batch': of(
    () => [numbers([2, 3, 4]), numbers([4, 5], { seed: 2 })],
    (a, b) => tf.matMul(a, b),
  ),
  'matMul, one left side for a batch': of(
    () => [numbers([4, 3]), numbers([2, 4, 5], { seed: 2 })],
    (a, b) => tf.matMul(a, b, true),
  ),
  einsum: of(
    () => [numbers([2, 3, 4]), numbers([4, 5, 3], { seed: 2 })],
    (a, b) => tf.einsum('bij,jki->bk', a, b),
  ),

  conv2d: of(image(), (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'), true),
  'conv2d, strided, padded unevenly': of(
    image(),
    (x, w) =>
      tf.conv2d(
        tf.pad(x, [
          [0, 0],
          [0, 1],
          [0, 1],
          [0, 0],
        ]) as tf.Tensor4D,
        w as tf.Tensor4D,
        2,
        'valid',
      ),
    true,
  ),
  'conv2d, dilated': of(image(), (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same', 'NHWC', 2)),
  conv2dTranspose: of(
    () => [numbers([1, 3, 3, 4]), numbers([3, 3, 2, 4], { seed: 2 })],
    (x, w) => tf.conv2dTranspose(x as tf.Tensor4D, w as tf.Tensor4D, [1, 6, 6, 2], 2, 'same'),
    true,
  ),
  depthwiseConv2d: of(
    () => [numbers([2, 6, 5, 3]), numbers([3, 3, 3, 2], { seed: 2 })],
    (x, w) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'),
    true,
  ),
  conv3d: of(
    () => [numbers([1, 4, 5, 4, 2]), numbers([2, 3, 2, 2, 3], { seed: 2 })],
    (x, w) => tf.conv3d(x as tf.Tensor5D, w as tf.Tensor5D, 1, 'same'),
    true,
  ),
  avgPool: of(
    () => [numbers([2, 6, 6, 3])],
    (x) => tf.avgPool(x as tf.Tensor4D, 2, 2, 'valid'),
    true,
  ),
  'avgPool, padded': of(
    () => [numbers([2, 6, 5, 3])],
    (x) => tf.avgPool(x as tf.Tensor4D, 3, 1, 'same'),
  ),
  maxPool: of(
    () => [numbers([2, 7, 6, 3])],
    (x) => tf.maxPool(x as tf.Tensor4D, 3, 2, 'valid'),
    true,
  ),
  maxPool3d: of(
    () => [numbers([1, 4, 4, 4, 2])],
    (x) => tf.maxPool3d(x as tf.Tensor5D, 2, 2, 'same'),
    true,
  ),
  batchNorm: of(
    () => [numbers([2, 3, 4]), numbers([4]), positive([4]), numbers([4], { seed: 3 })],
    (x, mean, variance, scale) =>
      tf.batchNorm(x, mean as tf.Tensor1D, variance as tf.Tensor1D, tf.zeros([4]) as tf.Tensor1D, scale as tf.Tensor1D),
    true,
  ),
  localResponseNormalization: of(
    () => [numbers([1, 2, 3, 6])],
    (x) => tf.localResponseNormalization(x as tf.Tensor4D, 2, 1, 0.5, 0.75),
    true,
  ),
  'resize, nearest': of(
    () => [numbers([2, 3, 4, 2])],
    (x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [6, 8]),
  ),
  'resize, nearest, any size': of(
    () => [numbers([2, 5, 4, 2])],
    (x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [7, 3], false, true),
  ),
  'resize, bilinear': of(
    () => [numbers([1, 5, 5, 2])],
    (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [7, 3]),
    true,
  ),

  gather: of(
    () => [numbers([5, 3]), integers([4], 5)],
    (x, i) => tf.gather(x, i as tf.Tensor1D, 0),
  ),
  'gather, along a later axis': of(
    () => [numbers([2, 5, 3]), integers([2, 4], 5)],
    (x, i) => tf.gather(x, i as tf.Tensor1D, 1),
  ),
  'gather, by batch': of(
    () => [numbers([2, 5, 3]), integers([2, 4], 5)],
    (x, i) => tf.gather(x, i as tf.Tensor1D, 1, 1),
  ),
  gatherND: of(
    () => [numbers([4, 5, 2]), integers([3, 2], 4)],
    (x, i) => tf.gatherND(x, i),
  ),
  scatterND: of(
    () => [integers([4, 1], 6), numbers([4, 2])],
    (i, x) => tf.scatterND(i, x, [6, 2]),
  ),
  tensorScatterUpdate: of(
    () => [numbers([6, 2]), tf.tensor2d([[1], [4]], [2, 1], 'int32'), numbers([2, 2], { seed: 2 })],
    (x, i, u) => tf.tensorScatterUpdate(x, i as tf.Tensor2D, u),
  ),
  sparseToDense: of(
    () => [tf.tensor1d([1, 3], 'int32'), numbers([2])],
    (i, v) => tf.sparseToDense(i, v, [5], 9),
  ),
  unsortedSegmentSum: of(
    () => [numbers([6, 2]), integers([6], 3)],
    (x, s) => tf.unsortedSegmentSum(x, s as tf.Tensor1D, 3),
  ),
  bincount: of(
    () => [integers([20], 5)],
    (x) => tf.bincount(x as tf.Tensor1D, tf.tensor1d([]), 5),
  ),

  'random numbers': of(
    () => [randomKey(7), tf.stack([randomKey(1), randomKey(2)])],
    (key, keys) => [
      uniform(key, [3, 5]),
      uniform(keys, [2, 4]),
      foldIn(key, 3),
      foldIn(keys, tf.tensor1d([9, -1], 'int32')),
    ],
  ),
};
