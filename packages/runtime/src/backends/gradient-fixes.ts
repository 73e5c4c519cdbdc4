import * as tf from '@tensorflow/tfjs-core';

// Replacements for gradients of tfjs 4.22 that are wrong, lack a case, or are slow, for all backends.

type Gradient = tf.GradConfig['gradFunc'];

let registered = false;

/** Registers the gradients of this file in place of tfjs's own, which must be loaded. Further calls do nothing. */
export function registerGradients(): void {
  if (registered) return;
  registered = true;
  for (const [kernel, first, second] of [
    ['Maximum', 'a', 'b'],
    ['Minimum', 'a', 'b'],
    ['SquaredDifference', 'a', 'b'],
    ['BatchMatMul', 'a', 'b'],
  ]) {
    replaceGradient(kernel, (original) => summedOverBroadcast(original, [first, second]));
  }
  replaceGradient('Sum', () => sumGradient, ['x']);
  replaceGradient('Mean', () => meanGradient, ['x']);
  replaceGradient('Tile', () => tileGradient, ['x']);
  replaceGradient('Cumsum', () => cumsumGradient, []);
  replaceGradient('GatherV2', gatherGradient);
  replaceGradient('ResizeNearestNeighbor', enlargementGradient);
}

function replaceGradient(kernelName: string, wrap: (original: Gradient) => Gradient, inputsToSave?: string[]): void {
  const original = tf.getGradient(kernelName);
  tf.unregisterGradient(kernelName);
  tf.registerGradient({ ...original, ...(inputsToSave && { inputsToSave }), gradFunc: wrap(original.gradFunc) });
}

/** tfjs returns the gradient of a broadcast input in the shape of the result: add up what was broadcast. */
function summedOverBroadcast(original: Gradient, names: readonly [string, string] | string[]): Gradient {
  return (dy, saved, attributes) => {
    const gradients = original(dy, saved, attributes);
    return Object.fromEntries(
      names.map((name, index) => [name, () => sumTo(gradients[name](), (saved as tf.Tensor[])[index].shape)]),
    );
  };
}

function sumTo(x: tf.Tensor, shape: number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes(shape, x.shape);
  return axes.length === 0 && x.shape.length === shape.length ? x : tf.reshape(tf.sum(x, axes), shape);
}

/** tfjs multiplies by a tensor of ones that it writes from the host at every step. */
const sumGradient: Gradient = (dy, saved, attributes) => {
  const [x] = saved as tf.Tensor[];
  const axes = tf.util.parseAxisParam(attributes.axis as number[], x.shape);
  const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  return { x: () => tf.broadcastTo(tf.reshape(dy as tf.Tensor, kept), x.shape) };
};

const meanGradient: Gradient = (dy, saved, attributes) => {
  const scale = (dy as tf.Tensor).size / (saved as tf.Tensor[])[0].size;
  return sumGradient(tf.mul(dy as tf.Tensor, scale), saved, attributes);
};

/** tfjs slices the gradient into one part per repetition, and stops at rank 4. */
const tileGradient: Gradient = (dy, saved, attributes) => {
  const { shape } = (saved as tf.Tensor[])[0];
  return {
    x: () => {
      let gradient = dy as tf.Tensor;
      (attributes.reps as number[]).forEach((repetitions, axis) => {
        if (repetitions === 1) return;
        const [outer, inner] = [gradient.shape.slice(0, axis), gradient.shape.slice(axis + 1)];
        const period = shape[axis] * tf.util.sizeFromShape(inner);
        const split = tf.reshape(gradient, [tf.util.sizeFromShape(outer), repetitions, period]);
        gradient = tf.reshape(tf.sum(split, 1), [...outer, shape[axis], ...inner]);
      });
      return gradient;
    },
  };
};

/** tfjs transposes the gradient once too often unless the axis is the last. */
const cumsumGradient: Gradient = (dy, _saved, { axis, exclusive, reverse }) => ({
  x: () => tf.cumsum(dy as tf.Tensor, axis as number, exclusive as boolean, !reverse),
});

/** tfjs loops over the batch; where the gathered axis follows the batch axes, one segment sum does it. */
function gatherGradient(original: Gradient): Gradient {
  return (dy, saved, attributes) => {
    const [x, indices] = saved as tf.Tensor[];
    const batchDims = attributes.batchDims as number;
    const [axis] = tf.util.parseAxisParam(attributes.axis as number, x.shape);
    if (batchDims === 0 || axis !== batchDims) return original(dy, saved, attributes);
    return { x: () => batchedGatherGradient(dy as tf.Tensor, x.shape, indices, batchDims), indices: () => indices };
  };
}

function batchedGatherGradient(dy: tf.Tensor, shape: number[], indices: tf.Tensor, batchDims: number): tf.Tensor {
  const batch = tf.util.sizeFromShape(shape.slice(0, batchDims));
  const count = shape[batchDims];
  const rowStart = tf.mul(tf.range(0, batch, 1, 'int32'), tf.scalar(count, 'int32'));
  const flat = tf.add(tf.reshape(indices, [batch, -1]), tf.expandDims(rowStart, 1));
  const rows = tf.reshape(dy, [flat.size, -1]);
  return tf.reshape(tf.unsortedSegmentSum(rows, tf.reshape<tf.Rank.R1>(flat, [-1]), batch * count), shape);
}

/**
 * tfjs's plain JavaScript kernel is wrong for every image of a batch but the first. The gradient of enlargement by whole
 * factors is a sum over blocks, which average pooling does everywhere.
 */
function enlargementGradient(original: Gradient): Gradient {
  return (dy, saved, attributes) => {
    const gradient = dy as tf.Tensor4D;
    const [, height, width] = (saved as tf.Tensor[])[0].shape;
    const [rows, columns] = [gradient.shape[1] / height, gradient.shape[2] / width];
    const isWhole = Number.isInteger(rows) && Number.isInteger(columns) && !attributes.alignCorners;
    if (!isWhole) return original(dy, saved, attributes);
    const blocks: [number, number] = [rows, columns];
    return { images: () => tf.mul(tf.avgPool(gradient, blocks, blocks, 'valid'), rows * columns) };
  };
}
