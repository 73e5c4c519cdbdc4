/**
 * Tab. 5: how long the two heads take for one token, which is all channels of one position, at batch 1. The categorical head draws
 * one channel after another with its cache; the diffusion head does 100 denoising steps, ten in a program. Weights are random.
 * Every run waits for its result, and the mean and the deviation of all runs are reported.
 *
 *     node --import tsx --conditions=@tb/source bench/token-heads.ts --out bench/results/token-heads.json
 */
import { initChannelHead, sampleChannels } from '@tb/ar-head';
import {
  conditionOnFeatures,
  type DenoisingCondition,
  type DenoisingState,
  type DiffusionHead,
  denoise,
  drawSampleNoise,
  initDiffusionHead,
} from '@tb/diffusion-head';
import { disposeTree, foldIn, jit, type Key, mapTree, normal, randomKey, storeBfloat16 } from '@tb/runtime';
import { channelHeadConfig, diffusionHeadConfig, marPresets } from '@tb/tokenbridge';
import * as tf from '@tensorflow/tfjs-core';
import { mean, open, rounded, seconds, settle } from './large-model.js';
import { describe, report } from './results.js';

/** Milliseconds on one A100 in the paper. */
const paper = { diffusion: '311.25 ± 1.85', categorical: '52.42 ± 0.57' };

const { values, config, precision } = await open({
  runs: { type: 'string', default: '100' },
  'denoising-steps': { type: 'string', default: '100' },
});
const runs = Number(values.runs);
const steps = Number(values['denoising-steps']);
const stepsPerCall = steps % 10 === 0 ? 10 : 1;
if (!(runs >= 2)) throw new Error(`--runs must be at least 2, got ${values.runs}`);

/** Not zero as in a new head: products with zeros run faster. Matrices as `generate` keeps them. */
function randomLike<Params extends object>(params: Params): Params {
  let next = 0;
  const drawn = mapTree((leaf: tf.Tensor) => {
    const value = tf.tidy(() => tf.mul(normal(randomKey(next++), leaf.shape), 0.02));
    if (leaf.rank !== 2 || precision === 'fp32') return value;
    const stored = storeBfloat16(value);
    value.dispose();
    return stored;
  }, params as never);
  disposeTree(params as never);
  return drawn as Params;
}

/** Mean and deviation in milliseconds of runs that each wait for their result, after three that do not count. */
async function measure(run: (index: number) => tf.Tensor): Promise<{ mean: number; deviation: number }> {
  const times: number[] = [];
  for (let index = -3; index < runs; index++) {
    const start = performance.now();
    await settle(run(index + 3));
    if (index >= 0) times.push(1000 * seconds(start));
  }
  const average = mean(times);
  const variance = times.reduce((sum, time) => sum + (time - average) ** 2, 0) / (times.length - 1);
  return { mean: rounded(average), deviation: rounded(Math.sqrt(variance)) };
}

const key = randomKey(5);
const keys = tf.stack([key]);
const featuresOf = (width: number) => normal(key, [1, 1, width]) as tf.Tensor3D;

function measureCategorical() {
  const head = channelHeadConfig(config);
  const params = randomLike(initChannelHead(randomKey(1), head));
  const features = featuresOf(head.featureWidth);
  const sample = jit(
    (weights: typeof params, z: tf.Tensor3D, imageKeys: Key, number: tf.Scalar) => {
      const draw = { temperature: 1, keys: foldIn(imageKeys, number) };
      return sampleChannels(weights, head, z, { draw }).tokens;
    },
    { precision, name: 'categorical head' },
  );
  return measure((index) => {
    const number = tf.scalar(index, 'int32');
    const tokens = sample(params, features, keys, number);
    number.dispose();
    return tokens;
  }).finally(() => disposeTree([params, features] as never));
}

function measureDiffusion() {
  const head = diffusionHeadConfig(marPresets[values.preset as keyof typeof marPresets]);
  const params = randomLike(initDiffusionHead(randomKey(1), head));
  const features = featuresOf(head.featureWidth);
  type Started = { state: DenoisingState; read: { condition: DenoisingCondition; drawn: Key } };
  const start = jit(
    (weights: DiffusionHead, z: tf.Tensor3D, imageKeys: Key, number: tf.Scalar): Started => {
      const drawn = foldIn(imageKeys, number);
      const { start: noise } = drawSampleNoise(drawn, 1, head.channels);
      const condition = conditionOnFeatures(weights, tf.reshape<tf.Rank.R2>(z, [1, head.featureWidth]), steps);
      return { state: { values: noise, remaining: tf.scalar(steps, 'int32') }, read: { condition, drawn } };
    },
    { precision, name: 'start of denoising' },
  );
  const next = jit(
    (state: DenoisingState, weights: DiffusionHead, { condition, drawn }: Started['read']) => {
      const noise = drawSampleNoise(drawn, 1, head.channels).step;
      return denoise(weights, state, condition, { steps, count: stepsPerCall, noise });
    },
    { donate: [0], precision, name: 'denoising' },
  );
  return measure((index) => {
    const number = tf.scalar(index, 'int32');
    const started = start(params, features, keys, number);
    let { state } = started;
    for (let done = 0; done < steps; done += stepsPerCall) state = next(state, params, started.read);
    disposeTree([number, state.remaining, started.read] as never);
    return state.values;
  }).finally(() => disposeTree([params, features] as never));
}

const categorical = await measureCategorical();
const diffusion = await measureDiffusion();
const shown = ({ mean: average, deviation }: typeof diffusion) => `${average} ± ${deviation}`;
console.log(`head         here, ms             paper, ms (A100)`);
console.log(`diffusion    ${shown(diffusion).padEnd(20)} ${paper.diffusion}`);
console.log(`categorical  ${shown(categorical).padEnd(20)} ${paper.categorical}`);
console.log(`ratio        ${rounded(diffusion.mean / categorical.mean)}${' '.repeat(16)} 5.94`);
report(
  describe({
    preset: values.preset,
    precision,
    runs,
    denoisingSteps: steps,
    categoricalTokenMs: categorical.mean,
    categoricalTokenMsDeviation: categorical.deviation,
    diffusionTokenMs: diffusion.mean,
    diffusionTokenMsDeviation: diffusion.deviation,
    paperOnA100: paper,
  }),
  values.out,
);
process.exit(0);
