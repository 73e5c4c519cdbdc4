/**
 * The head's sampling as one kernel (`SampleSymbols`) next to the plain program, with random weights of the large model: how far
 * logits differ, how many tokens agree, and how long a call takes.
 *
 *     node --import tsx --conditions=@tb/source bench/head-kernel.ts --out bench/results/head-kernel.json
 *
 * Differences are also given between the plain program in bfloat16 and in float32: that is what rounding does by itself.
 */
import { type ChannelSample, sampleChannels } from '@tb/ar-head';
import { disposeTree, foldIn, jit, type Key, normal, operationChoices, randomKey, type Tree } from '@tb/runtime';
import { channelHeadConfig, storeForSampling, type TokenBridge } from '@tb/tokenbridge';
import * as tf from '@tensorflow/tfjs-core';
import { drawParameters, mean, median, open, rounded, seconds, settle } from './large-model.js';
import { describe, report } from './results.js';

const { values, config } = await open({
  rows: { type: 'string', default: '1,8,16,32,64' },
  seeds: { type: 'string', default: '4' },
  calls: { type: 'string', default: '100' },
  /** `kernel` times and checks the kernel alone, without the plain programs. */
  only: { type: 'string', default: '' },
});
const head = { ...channelHeadConfig(config), channelOrder: undefined }; // tokens in the order of the groups
const groups = head.channels / head.groupSize;
const params = drawParameters(1, config);
const stored = storeForSampling(params).bfloat16;

type Sampler = (weights: TokenBridge, features: tf.Tensor3D, keys: Key, number: tf.Scalar) => ChannelSample;

/** The program, traced with the kernel or without it. */
function sampler(isPlain: boolean, precision: 'bf16' | 'fp32'): Sampler {
  const program = jit(
    (weights: TokenBridge, features: tf.Tensor3D, keys: Key, number: tf.Scalar) =>
      sampleChannels(weights, head, features, { draw: { temperature: 1, keys: foldIn(keys, number) } }),
    { precision },
  );
  return (...args) => {
    process.env.TB_PLAIN = isPlain ? 'SampleSymbols' : '';
    return program(...args);
  };
}

const samplers = {
  kernel: sampler(false, 'bf16'),
  ...(values.only !== 'kernel' && { plain: sampler(true, 'bf16'), exact: sampler(true, 'fp32') }),
};
type Name = 'kernel' | 'plain' | 'exact';

type Sample = { tokens: Int32Array; logits: Float32Array; logProbability: Float32Array };

async function run(name: Name, rows: number, seed: number): Promise<Sample> {
  const weights = name === 'exact' ? params : stored;
  const key = randomKey(seed);
  const features = normal(key, [1, rows, head.featureWidth]) as tf.Tensor3D;
  const keys = tf.stack([key]);
  const number = tf.scalar(seed, 'int32');
  const { tokens, logits, logProbability } = samplers[name]!(weights, features, keys, number);
  const sample = {
    tokens: (await tokens.data()) as Int32Array,
    logits: Float32Array.from(await logits.data()),
    logProbability: Float32Array.from(await logProbability.data()),
  };
  tf.dispose([key, features, keys, number, tokens, logits, logProbability]);
  return sample;
}

/** Over the groups up to the first token that differs, in each row: behind it the two condition on different tokens. */
function compare(a: Sample, b: Sample, rows: number) {
  const symbols = a.logits.length / (rows * groups);
  const differences: number[] = [];
  let [equal, compared] = [0, 0];
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const at = row * groups + group;
      for (let k = 0; k < symbols; k++)
        differences.push(Math.abs(a.logits[at * symbols + k] - b.logits[at * symbols + k]));
      compared += 1;
      if (a.tokens[at] !== b.tokens[at]) break;
      equal += 1;
    }
  }
  return { equal, compared, differences };
}

async function agreement(first: Name, second: Name, rows: number, seeds: number) {
  let [equal, compared, largest] = [0, 0, 0];
  const means: number[] = [];
  const probabilities: number[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const [a, b] = [await run(first, rows, seed), await run(second, rows, seed)];
    const found = compare(a, b, rows);
    equal += found.equal;
    compared += found.compared;
    largest = found.differences.reduce((most, value) => Math.max(most, value), largest);
    means.push(mean(found.differences));
    for (let row = 0; row < rows; row++) {
      const isSame = [...Array(groups).keys()].every((g) => a.tokens[row * groups + g] === b.tokens[row * groups + g]);
      if (isSame) probabilities.push(Math.abs(a.logProbability[row] - b.logProbability[row]));
    }
  }
  return {
    tokensEqual: rounded(equal / compared),
    tokensCompared: compared,
    logitsMean: rounded(mean(means)),
    logitsLargest: rounded(largest),
    ...(probabilities.length > 0 && { logProbabilityMean: rounded(mean(probabilities)) }),
  };
}

async function milliseconds(name: Name, rows: number, calls: number): Promise<number> {
  const key = randomKey(5);
  const features = normal(key, [1, rows, head.featureWidth]) as tf.Tensor3D;
  const keys = tf.stack([key]);
  const number = tf.scalar(0, 'int32');
  const call = () => {
    const { tokens, logits, logProbability } = samplers[name]!(stored, features, keys, number);
    tf.dispose([logits, logProbability]);
    return tokens;
  };
  for (let i = 0; i < 3; i++) await settle(call());
  const times: number[] = [];
  for (let repeat = 0; repeat < 5; repeat++) {
    const start = performance.now();
    for (let i = 0; i < calls - 1; i++) call().dispose();
    await settle(call());
    times.push((seconds(start) * 1000) / calls);
  }
  tf.dispose([key, features, keys, number]);
  return rounded(median(times));
}

const figures: Record<string, unknown> = { preset: values.preset, precision: 'bf16' };
for (const rows of values.rows.split(',').map(Number)) {
  const [seeds, calls] = [Number(values.seeds), Number(values.calls)];
  const repeated = compare(await run('kernel', rows, 0), await run('kernel', rows, 0), rows);
  const row: Record<string, unknown> = {
    runsAs: operationChoices().SampleSymbols,
    isRepeatable: repeated.equal === repeated.compared && repeated.differences.every((value) => value === 0),
  };
  if (values.only !== 'kernel') {
    row.kernelAndPlain = await agreement('kernel', 'plain', rows, seeds);
    row.kernelAndFloat32 = await agreement('kernel', 'exact', rows, seeds);
    row.plainAndFloat32 = await agreement('plain', 'exact', rows, seeds);
    row.plainMs = await milliseconds('plain', rows, calls);
  }
  row.kernelMs = calls > 0 ? await milliseconds('kernel', rows, calls) : undefined;
  console.log(rows, JSON.stringify(row));
  figures[`rows${rows}`] = row;
}
disposeTree([params, stored] as unknown as Tree<tf.Tensor>);
report(describe(figures), values.out);
process.exit(0);
