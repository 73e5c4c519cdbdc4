import { assertShape } from '@tb/nn';
import * as tf from '@tensorflow/tfjs-core';
import {
  type DenoiseOptions,
  type DiffusionHead,
  embedFeatures,
  embedTimesteps,
  type Prediction,
  predictNoise,
} from './diffusion-head.js';
import { posteriorMean, predictedPosterior, type TableReader, tableReader } from './posterior.js';
import { noiseSchedule } from './schedule.js';

// R = rows (values of positions, each with its timestep and noise), C = channels, Z = width of the backbone's features
//
// The diffusion loss of MAR (Li et al. 2024, Eq. 1 and Sec. 4.2): the squared error of the predicted noise, plus the variational
// bound (Nichol & Dhariwal 2021), which trains only the variance.

/** Inputs of `diffusionLoss`. */
export type DiffusionLossInputs = {
  /** Values to be predicted, in units of about one standard deviation; float32 [R, C]. */
  values: tf.Tensor2D;
  /** Context features of their positions [R, Z]. */
  features: tf.Tensor2D;
  /** Timesteps of the training schedule, int32 [R], each in [0, 1000). */
  timesteps: tf.Tensor1D;
  /** Standard normal noise [R, C]. */
  noise: tf.Tensor2D;
};

/** Terms of the loss, one number per row [R] each. */
export type DiffusionLoss = {
  /** `squaredError` + `variationalBound`: what training minimizes. */
  loss: tf.Tensor1D;
  /** Mean squared error of the predicted noise. */
  squaredError: tf.Tensor1D;
  /** The bound's term of the timestep, in bits a channel; its gradient reaches the variance only. */
  variationalBound: tf.Tensor1D;
};

/**
 * Computes the diffusion loss of every row. It is pure and has static shapes, so it works inside `jit`, and so do its gradients.
 *
 * @throws Error if an input's shape does not fit the parameters
 */
export function diffusionLoss(
  params: DiffusionHead,
  { values, features, timesteps, noise }: DiffusionLossInputs,
  options: DenoiseOptions = {},
): DiffusionLoss {
  const [rows, channels] = values.shape;
  assertShape('diffusionLoss', 'values', values, [rows, params.net.input_proj.weight.shape[1]!]);
  assertShape('diffusionLoss', 'features', features, [rows, null]);
  assertShape('diffusionLoss', 'timesteps', timesteps, [rows]);
  assertShape('diffusionLoss', 'noise', noise, [rows, channels]);
  return tf.tidy(() => {
    const read = tableReader(noiseSchedule(), timesteps);
    const at: TableReader = (name) => tf.expandDims(read(name), 1); // [R, 1]
    const noisy = tf.add(tf.mul(at('signal'), values), tf.mul(at('noise'), noise)) as tf.Tensor2D;
    const time = embedTimesteps(params, tf.cast(timesteps, 'float32'));
    const condition = tf.add(time, embedFeatures(params, features)) as tf.Tensor2D;
    const prediction = predictNoise(params, noisy, condition, options);
    const squaredError = tf.mean(tf.square(tf.sub(noise, prediction.noise)), 1) as tf.Tensor1D;
    const variationalBound = boundTerm(at, { values, noisy, timesteps }, prediction);
    return { loss: tf.add(squaredError, variationalBound) as tf.Tensor1D, squaredError, variationalBound };
  });
}

type Noised = { values: tf.Tensor2D; noisy: tf.Tensor2D; timesteps: tf.Tensor1D };

/** KL divergence of the predicted from the true posterior; at timestep 0 −ln of the value's probability. Bits a channel [R]. */
function boundTerm(at: TableReader, { values, noisy, timesteps }: Noised, prediction: Prediction): tf.Tensor1D {
  const { mean, logVariance } = predictedPosterior(at, noisy, {
    noise: stopGradient(prediction.noise),
    variance: prediction.variance,
  });
  const trueMean = posteriorMean(at, values, noisy);
  const divergence = normalDivergence(trueMean, at('leastLogVariance'), mean, logVariance);
  const surprise = tf.neg(logProbabilityOfBin(values, mean, tf.mul(logVariance, 0.5)));
  const isFirst = tf.equal(timesteps, tf.scalar(0, 'int32'));
  return tf.div(tf.where(isFirst, tf.mean(surprise, 1), tf.mean(divergence, 1)), Math.LN2) as tf.Tensor1D;
}

/** KL divergence of two normal distributions, in nats. */
function normalDivergence(mean1: tf.Tensor, logVariance1: tf.Tensor, mean2: tf.Tensor, logVariance2: tf.Tensor) {
  const ratio = tf.sub(logVariance1, logVariance2);
  const distance = tf.mul(tf.square(tf.sub(mean1, mean2)), tf.exp(tf.neg(logVariance2)));
  return tf.mul(0.5, tf.add(tf.sub(tf.sub(tf.exp(ratio), ratio), 1), distance));
}

/**
 * ln of the probability of bins 2/255 wide around the values, those at ±1 open to the outside. The bins are those of 8-bit
 * images; latents have none, but the reference computes the term so.
 */
function logProbabilityOfBin(values: tf.Tensor, mean: tf.Tensor, logDeviation: tf.Tensor): tf.Tensor {
  const inverse = tf.exp(tf.neg(logDeviation));
  const centered = tf.sub(values, mean);
  const upTo = (offset: number) => normalDistribution(tf.mul(inverse, tf.add(centered, offset)));
  const [above, below] = [upTo(1 / 255), upTo(-1 / 255)];
  const safeLog = (probability: tf.Tensor) => tf.log(tf.maximum(probability, 1e-12));
  const inside = safeLog(tf.sub(above, below));
  const rightmost = safeLog(tf.sub(1, below));
  return tf.where(tf.less(values, -0.999), safeLog(above), tf.where(tf.greater(values, 0.999), rightmost, inside));
}

/** Φ by the approximation that the reference uses. */
function normalDistribution(x: tf.Tensor): tf.Tensor {
  const cubed = tf.mul(tf.square(x), x);
  const argument = tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, cubed)));
  return tf.mul(0.5, tf.add(1, tf.tanh(argument)));
}

/** The same values, through which no gradient passes. */
function stopGradient<X extends tf.Tensor>(x: X): X {
  const identity = tf.customGrad((input) => ({
    value: tf.clone(input as tf.Tensor),
    gradFunc: (upstream: tf.Tensor) => tf.zerosLike(upstream),
  }));
  return identity(x) as X;
}
