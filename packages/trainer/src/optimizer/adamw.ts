// AdamW (Loshchilov and Hutter 2019) over parameter trees, with the reference's choice of what decays.
import { flattenTree, mapTree, type TensorTree, type Tree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

/** Numbers of AdamW that stay the same during training. */
export type AdamWOptions = {
  /** Decay rates of the two moments. */
  betas: readonly [number, number];
  epsilon: number;
  /** Decoupled: every decayed parameter shrinks by `learningRate * weightDecay` per step. */
  weightDecay: number;
};

/** What AdamW keeps between updates: two moments, and the number of updates made so far (float32, inside the program). */
export type AdamWState<Params extends TensorTree = TensorTree> = {
  firstMoment: Params;
  secondMoment: Params;
  step: tf.Scalar;
};

/** The AdamW of the paper: values of Tab. 4; epsilon as the reference's `torch.optim.AdamW`. */
export const defaultAdamW: AdamWOptions = { betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0.02 };

/** The state of AdamW before the first update: zero moments in the shapes of `params`. */
export function initAdamW<Params extends TensorTree>(params: Params): AdamWState<Params> {
  return {
    firstMoment: mapTree((value) => tf.zerosLike(value), params),
    secondMoment: mapTree((value) => tf.zerosLike(value), params),
    step: tf.scalar(0),
  };
}

/**
 * Whether weight decay applies: to everything but one-dimensional parameters, as the reference does. Class, position
 * and token embeddings, `mask_token` and `fake_latent` are decayed. A diffusion head is not, as in MAR's code.
 */
export function isDecayed(parameter: { shape: readonly number[] }, name = ''): boolean {
  return parameter.shape.length > 1 && !name.startsWith('diffloss.');
}

/**
 * One update. Pure; runs inside `jit`.
 *
 * @param learningRate - scalar tensor, so that a new rate needs no new program
 * @returns new parameters and state; the arguments stay as they are
 */
export function applyAdamW<Params extends TensorTree>(
  params: Params,
  gradients: Params,
  state: AdamWState<Params>,
  learningRate: tf.Scalar,
  { betas: [beta1, beta2], epsilon, weightDecay }: AdamWOptions = defaultAdamW,
): { params: Params; state: AdamWState<Params> } {
  const step = tf.add(state.step, 1) as tf.Scalar;
  const stepSize = tf.div(learningRate, biasCorrection(beta1, step));
  const rootCorrection = tf.sqrt(biasCorrection(beta2, step));
  const keep = tf.sub(1, tf.mul(learningRate, weightDecay));

  const firstMoment = mapTree(
    (moment, gradient) => tf.add(tf.mul(moment, beta1), tf.mul(gradient, 1 - beta1)),
    state.firstMoment,
    gradients,
  );
  const secondMoment = mapTree(
    (moment, gradient) => tf.add(tf.mul(moment, beta2), tf.mul(tf.square(gradient), 1 - beta2)),
    state.secondMoment,
    gradients,
  );
  const named = Object.entries(flattenTree(params as Tree<tf.Tensor>));
  const names = new Map(named.map(([name, leaf]) => [leaf, name]));
  const update = (value: tf.Tensor, first: tf.Tensor, second: tf.Tensor) => {
    const denominator = tf.add(tf.div(tf.sqrt(second), rootCorrection), epsilon);
    const decayed = weightDecay !== 0 && isDecayed(value, names.get(value)) ? tf.mul(value, keep) : value;
    return tf.sub(decayed, tf.mul(stepSize, tf.div(first, denominator)));
  };
  return { params: mapTree(update, params, firstMoment, secondMoment), state: { firstMoment, secondMoment, step } };
}

/** 1 - beta^step. expm1 keeps the digits that `1 - pow(0.999, 1)` would lose in float32. */
function biasCorrection(beta: number, step: tf.Scalar): tf.Tensor {
  return tf.neg(tf.expm1(tf.mul(step, Math.log(beta))));
}
