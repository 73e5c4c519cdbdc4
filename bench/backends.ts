/**
 * What each backend reaches on this machine: matrix product, convolution, one training step and sampled images of the
 * tiny preset. Prints a row of docs/backends.md per backend.
 *
 *   node --import tsx --conditions=@tb/source bench/backends.ts [wasm tensorflow cpu xla]
 */
import { type BackendName, hostRandom, randomKey, type Tree, useBackend } from '@tb/runtime';
import { drawTrainingMasks, generate, initTokenBridge, loss, presets, type TokenBridge } from '@tb/tokenbridge';
import { createTrainStep, defaultAdamW, initTrainState, type Parameters } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';

const config = presets.tiny;
const trainImages = Number(process.env.TRAIN_IMAGES ?? 8);
const sampledImages = Number(process.env.SAMPLED_IMAGES ?? 10);
const numIter = 16;

/** Milliseconds of the fastest of a few runs after one to warm up: other programs can only slow it down. */
async function milliseconds(run: () => Promise<unknown> | unknown, runs: number): Promise<number> {
  await run();
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return Math.min(...times);
}

async function matrixProduct(runs: number): Promise<number> {
  const size = 1024;
  const [a, b] = [tf.randomNormal<tf.Rank.R2>([size, size]), tf.randomNormal<tf.Rank.R2>([size, size])];
  const time = await milliseconds(async () => {
    const product = tf.matMul(a, b);
    await product.data();
    product.dispose();
  }, runs);
  tf.dispose([a, b]);
  return (2 * size ** 3) / time / 1e6;
}

async function convolution(runs: number): Promise<number> {
  const x = tf.randomNormal<tf.Rank.R4>([4, 64, 64, 64]);
  const kernel = tf.randomNormal<tf.Rank.R4>([3, 3, 64, 64]);
  const time = await milliseconds(async () => {
    const y = tf.conv2d(x, kernel, 1, 'same');
    await y.data();
    y.dispose();
  }, runs);
  tf.dispose([x, kernel]);
  return (2 * x.size * 9 * 64) / time / 1e6;
}

async function trainStep(runs: number): Promise<number> {
  const step = createTrainStep(
    (params, _frozen, batch, key) => ({
      loss: loss(params as unknown as TokenBridge, config, batch as never, { dropoutKey: key }),
    }),
    { adamw: defaultAdamW, clipNorm: 3, emaRate: 0.9999 },
  );
  let state = initTrainState(initTokenBridge(randomKey(0), config) as unknown as Parameters);
  const { height, width, channels } = config.latent;
  const batch = {
    latents: tf.randomNormal([trainImages, height, width, channels]),
    labels: tf.zeros([trainImages], 'int32'),
    masks: drawTrainingMasks(hostRandom(0), config, trainImages),
  };
  const inputs = { learningRate: tf.scalar(1e-4), step: tf.scalar(1, 'int32'), runKey: randomKey(1) };
  const time = await milliseconds(async () => {
    const result = step(state, {}, batch as unknown as Tree<tf.Tensor>, inputs);
    state = result.state;
    await result.metrics.loss.data();
    tf.dispose(result.metrics);
  }, runs);
  tf.dispose([state, batch, inputs] as unknown as tf.TensorContainer);
  return time;
}

async function sampling(runs: number): Promise<number> {
  const params = initTokenBridge(randomKey(0), config);
  const seeds = Array.from({ length: sampledImages }, (_, index) => index);
  const time = await milliseconds(async () => {
    const { tokens, latents } = await generate({ params, config, labels: seeds, seeds, numIter, cfg: 2 });
    tf.dispose([tokens, latents]);
  }, runs);
  tf.dispose(params as unknown as tf.TensorContainer);
  return time / sampledImages;
}

const names = process.argv.slice(2) as BackendName[];
console.log(
  `Node ${process.version}, tiny preset; training on ${trainImages} images a step; sampling ${sampledImages} images at once, ${numIter} steps, guidance 2`,
);
console.log(
  '| backend | 1024² matrix product, GFLOP/s | 3×3 convolution, GFLOP/s | training step, ms | sampled image, ms |',
);
console.log('| --- | --- | --- | --- | --- |');
for (const name of names.length > 0 ? names : (['wasm', 'tensorflow', 'cpu'] as const)) {
  const { reason } = await useBackend(name);
  const runs = name === 'cpu' ? 1 : 5;
  const row = [await matrixProduct(runs), await convolution(runs), await trainStep(runs), await sampling(runs)];
  console.log(`| ${name} (${reason}) | ${row.map((value) => value.toPrecision(3)).join(' | ')} |`);
}
