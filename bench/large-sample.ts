/**
 * Sampling speed of the large model with random weights: one token (all channels of one position through the head, with its
 * cache), one image, and a batch of 64; 64 steps with guidance 3.1, up to the latents: the autoencoder's share is not in it.
 *
 *     node --import tsx --conditions=@tb/source bench/large-sample.ts --out bench/results/large.json
 *
 * `--precision fp32` measures in float32, whose figures have a separate group (`fp32`) in the same file.
 * `--profile folder` also records one more batch, kernel by kernel, for TensorBoard's profile plugin.
 */
import { channelHeadShapes, sampleChannels } from '@tb/ar-head';
import { disposeTree, foldIn, jit, type Key, normal, randomKey } from '@tb/runtime';
import {
  channelHeadConfig,
  generate,
  type StoredParameters,
  storeForSampling,
  type TokenBridge,
} from '@tb/tokenbridge';
import { compiledPrograms, profile } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';
import { drawParameters, median, open, rounded, seconds, settle } from './large-model.js';
import { describe, report } from './results.js';

const { values, config, precision } = await open({
  batches: { type: 'string', default: '1,64' },
  repeats: { type: 'string', default: '3' },
  'token-calls': { type: 'string', default: '200' },
});
const STEPS = 64;
const GUIDANCE = 3.1;
const params = drawParametersForSampling();
const weights = 'bfloat16' in params ? params.bfloat16 : params;

function drawParametersForSampling(): TokenBridge | StoredParameters {
  const drawn = drawParameters(1, config);
  if (precision === 'fp32') return drawn;
  const stored = storeForSampling(drawn);
  disposeTree(drawn);
  return stored;
}

/** Milliseconds for the channels of one position, calls enqueued one after another. */
async function measureToken(calls: number) {
  const head = channelHeadConfig(config);
  const sampleToken = jit(
    (parameters: TokenBridge, features: tf.Tensor3D, keys: Key, number: tf.Scalar) => {
      const draw = { temperature: 1, keys: foldIn(keys, number) };
      return sampleChannels(parameters, head, features, { draw }).tokens;
    },
    { precision },
  );
  // The head's parameters alone: reading the argument list takes the host longer than the device takes for a token.
  const names = Object.keys(channelHeadShapes(head)) as (keyof TokenBridge)[];
  const headWeights = Object.fromEntries(names.map((name) => [name, weights[name]])) as unknown as TokenBridge;
  const key = randomKey(5);
  const features = normal(key, [1, 1, head.featureWidth]) as tf.Tensor3D;
  const keys = tf.stack([key]);
  const run = (number: number) => {
    const index = tf.scalar(number, 'int32');
    const tokens = sampleToken(headWeights, features, keys, index);
    index.dispose();
    return tokens;
  };
  for (let i = 0; i < 3; i++) await settle(run(i));
  const start = performance.now();
  for (let i = 0; i < calls - 1; i++) run(i).dispose();
  await settle(run(calls));
  const tokenMs = (seconds(start) * 1000) / calls;
  tf.dispose([key, keys, features]);
  return { tokenMs: rounded(tokenMs) };
}

/** Speed of a batch of images, up to their latents; the first run traces and compiles, and counts for itself. */
async function measureImages(images: number, repeats: number) {
  const compiledBefore = compiledPrograms().length;
  const labels = Array.from({ length: images }, (_, image) => image % config.classes);
  const durations: number[] = [];
  let first = {};
  const makeImages = async (run: number) => {
    const seeds = labels.map((_, image) => run * images + image);
    const result = await generate({ params, config, labels, seeds, steps: STEPS, guidanceScale: GUIDANCE, precision });
    await result.tokens.data();
    tf.dispose([result.tokens, result.latents]);
  };
  for (let run = 0; run <= repeats; run++) {
    const start = performance.now();
    await makeImages(run);
    if (run > 0) durations.push(seconds(start));
    else first = firstRun(images, seconds(start), compiledBefore);
  }
  if (values.profile) await profile(values.profile, () => makeImages(0));
  const duration = median(durations);
  if (images === 1) return { ...first, imageSecondsBatch1: rounded(duration) };
  return { ...first, [`sampleImagesPerSecondBatch${images}`]: rounded(images / duration) };
}

/** A first run is told by another name where all of its programs came from the cache folder. */
function firstRun(images: number, took: number, compiledBefore: number) {
  const programs = compiledPrograms()
    .slice(compiledBefore)
    .filter(({ name }) => ['predictFeatures', 'fillPositions'].includes(name));
  const isCached = programs.length > 0 && programs.every(({ cached }) => cached);
  return {
    [`sampleFirst${isCached ? 'Cached' : ''}SecondsBatch${images}`]: rounded(took),
    [`sampleProgramsBatch${images}`]: programs.length,
  };
}

const measured = { preset: values.preset, precision };
const add = (found: Record<string, unknown>) => {
  console.log(JSON.stringify(found));
  Object.assign(measured, found);
};
const calls = Number(values['token-calls']);
if (calls > 0) add(await measureToken(calls));
for (const batch of values.batches.split(',').map(Number)) add(await measureImages(batch, Number(values.repeats)));
disposeTree(params);
report(describe(measured), values.out);
process.exit(0);
