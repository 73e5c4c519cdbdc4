/**
 * Gradients whose precision differs in bf16 programs. Those that TensorFlow.js computes badly on every backend are
 * replaced by @tb/runtime's `useBackend`.
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

/** Undoes broadcasting to `dy`'s shape. */
function sumTo(dy: tf.Tensor, shape: number[]): tf.Tensor {
  const lead = dy.rank - shape.length;
  const axes = dy.shape.flatMap((size, axis) =>
    axis < lead || (shape[axis - lead] === 1 && size !== 1) ? [axis] : [],
  );
  return tf.reshape(axes.length > 0 ? tf.sum(dy, axes) : dy, shape);
}

/** A product of the gradient, for `target`: that of a parameter is given in float32. */
function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean, target: tf.Tensor): tf.Tensor {
  const backend = tf.backend();
  const keepFloat32 = backend instanceof XlaBackend && backend.nodeOf(target).isWeak;
  const attributes = { transposeA, transposeB, keepFloat32 };
  return sumTo(tf.engine().runKernel('BatchMatMul', { a, b }, attributes) as tf.Tensor, target.shape);
}

function matMulGradient(dy: tf.Tensor, [a, b]: tf.Tensor[], { transposeA, transposeB }: Attributes): GradientRules {
  return {
    a: () => (transposeA ? product(b, dy, transposeB, true, a) : product(dy, b, false, !transposeB, a)),
    b: () => (transposeB ? product(dy, a, true, transposeA, b) : product(a, dy, !transposeA, false, b)),
  };
}

/** In bf16 programs one kernel, which reads the output in bfloat16, as the product after the softmax does. */
function softmaxGradient(dy: tf.Tensor, y: tf.Tensor, dim: number): tf.Tensor {
  if (activeTrace()?.precision === 'bf16') return tf.engine().runKernel('SoftmaxGrad', { dy, y }, { dim }) as tf.Tensor;
  const weighted = tf.mul(dy, y);
  return tf.sub(weighted, tf.mul(tf.sum(weighted, [dim], true), y));
}

const gradients: Record<string, Gradient> = {
  BatchMatMul: { save: inputs('a', 'b'), rules: matMulGradient },
  Softmax: {
    save: { outputsToSave: [true] },
    rules: (dy, [y], { dim }) => ({ logits: () => softmaxGradient(dy, y, dim) }),
  },
};

/** Replaces the gradients above. TensorFlow.js's own must be registered before: the last registration counts. */
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
