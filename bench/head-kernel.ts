/**
 * The head's sampling as one kernel (`SampleSymbols`) next to the plain program, with random weights of the large model: how far
 * logits differ, how many tokens agree, and how long a call takes.
 *
 *     node --import tsx --conditions=@tb/source bench/head-kernel.ts --out bench/results/head-kernel.json
 *
 * Differences are also given between the plain program in bfloat16 and in float32: that is what rounding does by itself.
 */
import { type ChannelSample, channelHeadShapes, sampleChannels } from '@tb/ar-head';
import { disposeTree, foldIn, jit, type Key, normal, operationChoices, randomKey, type Tree } from '@tb/runtime';
import { channelHeadConfig, storeForSampling, type TokenBridge } from '@tb/tokenbridge';
import type { XlaBackend } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';
import { drawParameters, mean, median, open, rounded, seconds, settle } from './large-model.js';
import { describe, report } from './results.js';

const { values, config } = await open({
  /** Rows to time the kernel for. */
  rows: { type: 'string', default: '1,2,4,8,16' },
  /** Rows to compare with the plain programs for, and to time those. */
  compared: { type: 'string', default: '1,8' },
  seeds: { type: 'string', default: '4' },
  calls: { type: 'string', default: '100' },
  /** Launches this many thread blocks instead of all: the kernel must end with an error within seconds. */
  blocks: { type: 'string', default: '' },
});
const head = { ...channelHeadConfig(config), channelOrder: undefined }; // tokens in the order of the groups
const groups = head.channels / head.groupSize;
const params = drawParameters(1, config);
const stored = storeForSampling(params).bfloat16;
// The head's parameters alone: reading the argument list takes the host longer than the device takes for a token.
const names = Object.keys(channelHeadShapes(head)) as (keyof TokenBridge)[];
const headOf = (weights: TokenBridge) =>
  Object.fromEntries(names.map((name) => [name, weights[name]])) as unknown as TokenBridge;

if (values.blocks) {
  const { executor } = tf.backend() as XlaBackend;
  const { compile } = executor;
  executor.compile = (module, options) => compile(module.replace('grid_x = 128', `grid_x = ${values.blocks}`), options);
}

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
  plain: sampler(true, 'bf16'),
  exact: sampler(true, 'fp32'),
};
type Name = 'kernel' | 'plain' | 'exact';

type Sample = { tokens: Int32Array; logits: Float32Array; logProbability: Float32Array };

async function run(name: Name, rows: number, seed: number): Promise<Sample> {
  const weights = headOf(name === 'exact' ? params : stored);
  const key = randomKey(seed);
  const features = normal(key, [1, rows, head.featureWidth]) as tf.Tensor3D;
  const keys = tf.stack([key]);
  const number = tf.scalar(seed, 'int32');
  const { tokens, logits, logProbability } = samplers[name](weights, features, keys, number);
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

/** Milliseconds a call, of calls enqueued one after another, and what the host needs to enqueue one. */
async function milliseconds(name: Name, rows: number, calls: number): Promise<{ all: number; host: number }> {
  const weights = headOf(stored);
  const key = randomKey(5);
  const features = normal(key, [1, rows, head.featureWidth]) as tf.Tensor3D;
  const keys = tf.stack([key]);
  const number = tf.scalar(0, 'int32');
  const call = () => {
    const { tokens, logits, logProbability } = samplers[name](weights, features, keys, number);
    tf.dispose([logits, logProbability]);
    return tokens;
  };
  for (let i = 0; i < 3; i++) await settle(call());
  const times: number[] = [];
  const hostTimes: number[] = [];
  for (let repeat = 0; repeat < 5; repeat++) {
    const start = performance.now();
    for (let i = 0; i < calls - 1; i++) call().dispose();
    const last = call();
    hostTimes.push((seconds(start) * 1000) / calls);
    await settle(last);
    times.push((seconds(start) * 1000) / calls);
  }
  tf.dispose([key, features, keys, number]);
  return { all: rounded(median(times)), host: rounded(median(hostTimes)) };
}

const figures: Record<string, unknown> = { preset: values.preset, precision: 'bf16' };
const numbers = (text: string) => text.split(',').filter(Boolean).map(Number);
const [seeds, calls, compared] = [Number(values.seeds), Number(values.calls), numbers(values.compared)];
for (const rows of [...new Set([...numbers(values.rows), ...compared])].sort((a, b) => a - b)) {
  const repeated = compare(await run('kernel', rows, 0), await run('kernel', rows, 0), rows);
  const row: Record<string, unknown> = {
    runsAs: operationChoices().SampleSymbols,
    isRepeatable: repeated.equal === repeated.compared && repeated.differences.every((value) => value === 0),
  };
  if (compared.includes(rows)) {
    row.kernelAndPlain = await agreement('kernel', 'plain', rows, seeds);
    row.kernelAndFloat32 = await agreement('kernel', 'exact', rows, seeds);
    row.plainAndFloat32 = await agreement('plain', 'exact', rows, seeds);
    if (calls > 0) row.plainMs = (await milliseconds('plain', rows, calls)).all;
  }
  if (calls > 0) {
    const { all, host } = await milliseconds('kernel', rows, calls);
    Object.assign(row, { kernelMs: all, kernelHostMs: host });
  }
  console.log(rows, JSON.stringify(row));
  figures[`rows${rows}`] = row;
}
disposeTree([params, stored] as unknown as Tree<tf.Tensor>);
report(describe(figures), values.out);
process.exit(0);
