/**
 * What one backend reaches in this process: matrix product, convolution, training steps and sampled images of the tiny
 * preset. Prints one line of JSON; `backends.ts` starts it for each backend.
 *
 *   node --import tsx --conditions=@tb/source bench/backend-figures.ts wasm
 */
import { type BackendName, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { Figures } from './fastest.js';
import { describe } from './results.js';
import { startSampling, startTraining } from './tiny-model.js';

const TRAINED_IMAGES = 8;
const SAMPLED_IMAGES = 10;
const STEPS_OF_SAMPLING = 16;

/** Milliseconds of the first run, and of the fastest of `runs` after it: other programs can only slow it down. */
async function milliseconds(run: () => Promise<unknown>, runs: number): Promise<{ first: number; fastest: number }> {
  const times: number[] = [];
  for (let i = 0; i <= runs; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  const [first, ...further] = times;
  return { first, fastest: Math.min(...further) };
}

/** Billions of operations a second of a function that gives a tensor. */
async function gigaflops(compute: () => tf.Tensor, operations: number, runs: number): Promise<number> {
  const { fastest } = await milliseconds(async () => {
    const result = compute();
    await result.data();
    result.dispose();
  }, runs);
  return operations / fastest / 1e6;
}

async function operationFigures(runs: number): Promise<Figures> {
  const size = 1024;
  const [a, b] = [tf.randomNormal<tf.Rank.R2>([size, size]), tf.randomNormal<tf.Rank.R2>([size, size])];
  const matrixProductGflops = await gigaflops(() => tf.matMul(a, b), 2 * size ** 3, runs);
  const x = tf.randomNormal<tf.Rank.R4>([4, 64, 64, 64]);
  const kernel = tf.randomNormal<tf.Rank.R4>([3, 3, 64, 64]);
  const operations = 2 * x.size * 9 * 64;
  const convolutionGflops = await gigaflops(() => tf.conv2d(x, kernel, 1, 'same'), operations, runs);
  tf.dispose([a, b, x, kernel]);
  return { matrixProductGflops, convolutionGflops };
}

async function modelFigures(runs: number): Promise<Figures> {
  const training = startTraining(TRAINED_IMAGES);
  const step = await milliseconds(training.step, runs);
  training.end();
  const sampling = startSampling(SAMPLED_IMAGES, STEPS_OF_SAMPLING);
  const { first, fastest } = await milliseconds(sampling.sample, runs);
  sampling.end();
  return {
    trainStepMs: step.fastest,
    sampledImageMs: fastest / SAMPLED_IMAGES,
    sampledImageFirstMs: first / SAMPLED_IMAGES,
  };
}

const name = process.argv[2] as BackendName;
const { reason } = await useBackend(name);
// A training step of plain JavaScript would take minutes.
const figures =
  name === 'cpu' ? await operationFigures(1) : { ...(await operationFigures(5)), ...(await modelFigures(3)) };
console.log(JSON.stringify(describe({ engine: reason, figures })));
