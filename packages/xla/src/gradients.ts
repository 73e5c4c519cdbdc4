/**
 * Gradients that TensorFlow.js computes badly for a compiler: they fill arrays of ones on the host (Sum, Mean), cut and
 * add slices (Tile), loop over rows (GatherV2) or fail (products with broadcast batch axes). These replace them for every
 * backend, since TensorFlow.js has one gradient for each kernel.
 */
import * as tf from '@tensorflow/tfjs-core';
import { XlaBackend } from './backend.js';
import { activeTrace } from './graph/node.js';

type Attributes = Record<string, never>;
type GradientRules = Record<string, () => tf.Tensor>;
type Gradient = {
  save: Partial<tf.GradConfig>;
  rules(dy: tf.Tensor, saved: tf.Tensor[], attributes: Attributes): GradientRules;
};

const inputs = (...names: string[]): Partial<tf.GradConfig> => ({ inputsToSave: names });

/** Puts the reduced axes back with size 1. */
function withReducedAxes(dy: tf.Tensor, shape: number[], axis: number | number[]): tf.Tensor {
  const axes = tf.util.parseAxisParam(axis, shape);
  return tf.reshape(
    dy,
    shape.map((size, i) => (axes.includes(i) ? 1 : size)),
  );
}

/** Undoes broadcasting to `dy`'s shape. */
function sumTo(dy: tf.Tensor, shape: number[]): tf.Tensor {
  const lead = dy.rank - shape.length;
  const axes = dy.shape.flatMap((size, axis) =>
    axis < lead || (shape[axis - lead] === 1 && size !== 1) ? [axis] : [],
  );
  return tf.reshape(axes.length > 0 ? tf.sum(dy, axes) : dy, shape);
}

function tileGradient(dy: tf.Tensor, shape: number[], repeats: number[]): tf.Tensor {
  if (shape.every((size, axis) => size === 1 || repeats[axis] === 1)) return sumTo(dy, shape);
  const split = shape.flatMap((size, axis) => [repeats[axis], size]);
  return tf.reshape(
    tf.sum(
      tf.reshape(dy, split),
      shape.map((_, axis) => 2 * axis),
    ),
    shape,
  );
}

/** A product of the gradient, for `target`: that of a parameter is given in float32. */
function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean, target: tf.Tensor): tf.Tensor {
  const backend = tf.backend();
  const keepFloat32 = backend instanceof XlaBackend && backend.nodeOf(target.dataId).isWeak;
  const attributes = { transposeA, transposeB, keepFloat32 };
  return sumTo(tf.engine().runKernel('BatchMatMul', { a, b }, attributes) as tf.Tensor, target.shape);
}

function matMulGradient(dy: tf.Tensor, [a, b]: tf.Tensor[], { transposeA, transposeB }: Attributes): GradientRules {
  return {
    a: () => (transposeA ? product(b, dy, transposeB, true, a) : product(dy, b, false, !transposeB, a)),
    b: () => (transposeB ? product(dy, a, true, transposeA, b) : product(a, dy, !transposeA, false, b)),
  };
}

/** Rows of the gradient summed into the places that they came from: one segment sum, whatever the batch axes. */
function gatherGradient(dy: tf.Tensor, [x, indices]: tf.Tensor[], axis: number, batchDims: number): tf.Tensor {
  const [at] = tf.util.parseAxisParam(axis, x.shape);
  const size = (shape: number[]) => tf.util.sizeFromShape(shape);
  const [batch, between, rest] = [x.shape.slice(0, batchDims), x.shape.slice(batchDims, at), x.shape.slice(at + 1)];
  const places = indices.shape.slice(batchDims);
  // dy is [batch, between, places, rest]; segments count along [batch, A].
  const rows = tf.transpose(tf.reshape(dy, [size(batch), size(between), size(places), size(rest)]), [0, 2, 1, 3]);
  const offsets = tf.mul(tf.range(0, size(batch), 1, 'int32'), tf.scalar(x.shape[at], 'int32'));
  const segments = tf.add(
    tf.reshape(tf.cast(indices, 'int32'), [size(batch), size(places)]),
    tf.expandDims(offsets, 1),
  );
  const summed = tf.unsortedSegmentSum(
    tf.reshape(rows, [size(batch) * size(places), size(between), size(rest)]),
    tf.reshape(segments, [-1]) as tf.Tensor1D,
    size(batch) * x.shape[at],
  );
  const split = tf.reshape(summed, [size(batch), x.shape[at], size(between), size(rest)]);
  return tf.reshape(tf.transpose(split, [0, 2, 1, 3]), x.shape);
}

/** In bf16 programs one kernel, which reads the output as the product after the softmax does. */
function softmaxGradient(dy: tf.Tensor, y: tf.Tensor, dim: number): tf.Tensor {
  if (activeTrace()?.precision === 'bf16') return tf.engine().runKernel('SoftmaxGrad', { dy, y }, { dim }) as tf.Tensor;
  const weighted = tf.mul(dy, y);
  return tf.sub(weighted, tf.mul(tf.sum(weighted, [dim], true), y));
}

const gradients: Record<string, Gradient> = {
  BatchMatMul: { save: inputs('a', 'b'), rules: matMulGradient },
  GatherV2: {
    save: inputs('x', 'indices'),
    rules: (dy, saved, { axis, batchDims = 0 }: Attributes & { batchDims?: number }) => ({
      x: () => gatherGradient(dy, saved, axis, batchDims),
      indices: () => tf.zeros(saved[1].shape),
    }),
  },
  Mean: {
    save: inputs('x'),
    rules: (dy, [x], { axis }) => ({
      x: () => tf.broadcastTo(withReducedAxes(tf.mul(dy, dy.size / x.size), x.shape, axis), x.shape),
    }),
  },
  Softmax: {
    save: { outputsToSave: [true] },
    rules: (dy, [y], { dim }) => ({ logits: () => softmaxGradient(dy, y, dim) }),
  },
  Sum: {
    save: inputs('x'),
    rules: (dy, [x], { axis }) => ({ x: () => tf.broadcastTo(withReducedAxes(dy, x.shape, axis), x.shape) }),
  },
  Tile: { save: inputs('x'), rules: (dy, [x], { reps }) => ({ x: () => tileGradient(dy, x.shape, reps) }) },
};

/** Replaces the gradients above. Import TensorFlow.js's own before: whoever registers last wins. */
export function registerGradients(): void {
  for (const [kernelName, { save, rules }] of Object.entries(gradients)) {
    if (tf.getGradient(kernelName)) tf.unregisterGradient(kernelName);
    tf.registerGradient({
      kernelName,
      ...save,
      gradFunc: (dy, saved, attributes) => rules(dy as tf.Tensor, saved, attributes as Attributes),
    });
  }
}
