import * as tf from '@tensorflow/tfjs-core';
import { mapTree, treeLeaves } from '../tree.js';
import { optimizationBarrier } from './optimization-barrier.js';

/**
 * Returns the same function with a gradient that keeps only the arguments and computes the inside again: a deep network's memory then
 * does not grow with the activations of its blocks (Chen et al. 2016, arXiv 1604.06174).
 *
 * Everything that needs a gradient must be an argument: tensors that `fn` reads from outside count as constants.
 *
 * @param fn - pure function from trees of tensors (other leaves pass through) to one float32 tensor
 */
export function rematerialize<Args extends unknown[], Output extends tf.Tensor>(
  fn: (...args: Args) => Output,
): (...args: Args) => Output {
  return (...args) => {
    const tensors = treeLeaves<unknown>(args).filter((leaf) => leaf instanceof tf.Tensor);
    const run = (...inputs: tf.Tensor[]) => {
      let next = 0;
      return fn(...(mapTree((leaf: unknown) => (leaf instanceof tf.Tensor ? inputs[next++] : leaf), args) as Args));
    };
    // biome-ignore lint/suspicious/noExplicitAny: customGrad's types know only functions of a fixed number of tensors.
    const withGradient = tf.customGrad((...inputsAndSave: any[]) => {
      const save = inputsAndSave.pop() as tf.GradSaveFunc;
      save(inputsAndSave);
      const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => recomputedGradients(run, saved, dy);
      return { value: run(...inputsAndSave), gradFunc };
    });
    return withGradient(...tensors) as Output;
  };
}

/** Gradients of `run` at `inputs`; zeros for those it does not depend on and for integers. */
function recomputedGradients(run: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[], dy: tf.Tensor) {
  const [opaqueDy, ...opaque] = optimizationBarrier([dy, ...inputs]);
  const floats = opaque.flatMap((input, index) => (input.dtype === 'float32' ? [index] : []));
  const runOnFloats = (...values: tf.Tensor[]) => {
    const all = [...opaque];
    floats.forEach((index, i) => {
      all[index] = values[i];
    });
    return run(...all);
  };
  const engine = tf.engine();
  // A backward pass drops the tape when it ends; the outer one is still being walked.
  const outerTape = engine.state.activeTape;
  const { grads } = engine.gradients(
    () => runOnFloats(...floats.map((index) => opaque[index])),
    floats.map((index) => opaque[index]),
    opaqueDy,
    true,
  );
  engine.state.activeTape = outerTape;
  return inputs.map((input, index) => grads[floats.indexOf(index)] ?? tf.zeros(input.shape));
}
