import * as tf from '@tensorflow/tfjs-core';
import { optimizationBarrier } from './optimization-barrier.js';
import { mapTree, type Tree, treeLeaves } from './tree.js';

/**
 * The same function with rematerialization: its gradient keeps only the arguments and computes the inside again, so a
 * deep network's memory no longer grows with what its blocks hold (Chen et al. 2016, arXiv 1604.06174).
 *
 * Everything that needs a gradient must be an argument: tensors that `fn` reads from outside count as constants.
 *
 * @param fn - pure function from trees of tensors (other leaves pass through) to one float32 tensor
 */
export function checkpoint<Args extends unknown[]>(fn: (...args: Args) => tf.Tensor): (...args: Args) => tf.Tensor {
  return (...args) => {
    const leaves = treeLeaves(args as Tree<unknown>);
    const tensors = leaves.filter((leaf) => leaf instanceof tf.Tensor);
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
    return withGradient(...tensors);
  };
}

/** Gradients of `run` at `inputs`; zeros for those it does not depend on and for integers. */
function recomputedGradients(run: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[], dy: tf.Tensor) {
  const [barredDy, ...barred] = optimizationBarrier([dy, ...inputs]);
  const floats = barred.flatMap((input, index) => (input.dtype === 'float32' ? [index] : []));
  const runOnFloats = (...values: tf.Tensor[]) => {
    const all = [...barred];
    floats.forEach((index, i) => {
      all[index] = values[i];
    });
    return run(...all);
  };
  const engine = tf.engine();
  // Backward passes drop the tape when they end; the outer one is still being walked.
  const outerTape = engine.state.activeTape;
  const { grads } = engine.gradients(
    () => runOnFloats(...floats.map((index) => barred[index])),
    floats.map((index) => barred[index]),
    barredDy,
    true,
  );
  engine.state.activeTape = outerTape;
  return inputs.map((input, index) => grads[floats.indexOf(index)] ?? tf.zeros(input.shape));
}
