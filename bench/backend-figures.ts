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

/** How often an operation is timed, and how many of it are timed as one: few enough that numbers stay finite. */
type Pace = { runs: number; times: number };

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

/**
 * Billions of operations a second of a function whose result is its next argument: applied `times` times, of which only
 * one number is read, so that a backend with separate memory is not timed by the copies out of it.
 */
async function gigaflops<T extends tf.Tensor>(apply: (x: T) => T, start: T, operations: number, { runs, times }: Pace) {
  const { fastest } = await milliseconds(async () => {
    const largest = tf.tidy(() => {
      let x = start;
      for (let i = 0; i < times; i++) x = apply(x);
      return tf.max(x);
    });
    await largest.data();
    largest.dispose();
  }, runs);
  return (times * operations) / fastest / 1e6;
}

async function operationFigures(pace: Pace): Promise<Figures> {
  const size = 1024;
  const [a, b] = [tf.randomNormal<tf.Rank.R2>([size, size]), tf.randomNormal<tf.Rank.R2>([size, size])];
  const matrixProductGflops = await gigaflops((x) => tf.matMul(x, b), a, 2 * size ** 3, pace);
  const images = tf.randomNormal<tf.Rank.R4>([4, 64, 64, 64]);
  const kernel = tf.randomNormal<tf.Rank.R4>([3, 3, 64, 64]);
  const operations = 2 * images.size * 9 * 64;
  const convolutionGflops = await gigaflops((x) => tf.conv2d(x, kernel, 1, 'same'), images, operations, pace);
  tf.dispose([a, b, images, kernel]);
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
  name === 'cpu'
    ? await operationFigures({ runs: 1, times: 1 })
    : { ...(await operationFigures({ runs: 5, times: 10 })), ...(await modelFigures(3)) };
console.log(JSON.stringify(describe({ engine: reason, figures })));
