/**
 * Training speed of the large model: one complete step (forward, backward, clipping, AdamW, moving average) at batch 64 on
 * random latents, 222 of 256 positions masked, padded to 224, dropout on; the deviation of its loss in bf16 from float32.
 *
 *     node --import tsx --conditions=@tb/source bench/large-train.ts --out bench/results/large.json
 *
 * `--parts` chooses among compile, speed and deviation; a program that the cache folder (TB_XLA_CACHE, here a new one by
 * default) holds already is not compiled, and its loading time is `compileCachedSeconds`. `--profile folder` also
 * records one step, kernel by kernel, for TensorBoard's profile plugin.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, type Key, randomKey } from '@tb/runtime';
import { type LossInputs, loss, type TokenBridge } from '@tb/tokenbridge';
import { createTrainStep, defaultAdamW, initTrainState } from '@tb/trainer';
import { compiledPrograms, profile } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';
import {
  drawBatch,
  drawParameters,
  gibibytes,
  mean,
  open,
  type Precision,
  partsOf,
  rounded,
  seconds,
  settle,
} from './large-model.js';
import { describe, report } from './results.js';

process.env.TB_XLA_CACHE ??= mkdtempSync(join(tmpdir(), 'bench-xla-'));

const { values, config, precision } = await open({
  parts: { type: 'string', default: 'compile,speed,deviation' },
  batch: { type: 'string', default: '64' },
  steps: { type: 'string', default: '20' },
  'deviation-batch': { type: 'string', default: '8' },
  'deviation-steps': { type: 'string', default: '50' },
});
const LEARNING_RATE = 1e-4;
const WARM_UP_STEPS = 3;

const lossOfBatch = (params: TokenBridge, _: object, batch: LossInputs, dropoutKey: Key) => ({
  loss: loss(params, config, batch, { dropoutKey }),
});
const newStep = (kind: Precision) =>
  createTrainStep(lossOfBatch, { adamw: defaultAdamW, clipNorm: 3, emaRate: 0.9999, precision: kind });

/** A run of training steps on the same few batches. */
function startRun(trainStep: ReturnType<typeof newStep>, batches: readonly LossInputs[]) {
  let states = [initTrainState(drawParameters(1, config))];
  const runKey = randomKey(2);
  let number = 0;
  return {
    /** Enqueues one step; the loss is the caller's. */
    step(): tf.Scalar {
      const inputs = { learningRate: tf.scalar(LEARNING_RATE), step: tf.scalar(number, 'int32'), runKey };
      const result = trainStep(states, [{}], batches[number % batches.length], inputs);
      states = result.states;
      number++;
      tf.dispose([inputs.learningRate, inputs.step, result.metrics.gradientNorm]);
      return result.metrics.loss;
    },
    end() {
      disposeTree([states, runKey, batches]);
    },
  };
}

/** How long the first call takes: with the compiler at work, or with its result on disk. Nothing is run twice. */
async function measureCompile(batch: number) {
  const run = startRun(newStep(precision), [drawBatch(3, config, batch)]);
  const start = performance.now();
  const first = run.step();
  const took = rounded(seconds(start));
  await settle(first);
  run.end();
  return compiledPrograms().at(-1)?.cached ? { compileCachedSeconds: took } : { compileSeconds: took };
}

/** Time and memory of training steps. */
async function measureSpeed(batch: number, steps: number) {
  const run = startRun(newStep(precision), [drawBatch(3, config, batch), drawBatch(4, config, batch)]);
  const losses: number[] = [];
  for (let i = 0; i < WARM_UP_STEPS; i++) losses.push(await settle(run.step()));
  const start = performance.now();
  for (let i = 0; i < steps - 1; i++) run.step().dispose();
  losses.push(await settle(run.step()));
  const secondsPerStep = seconds(start) / steps;
  const { peakBytesInUse = 0 } = tf.memory() as { peakBytesInUse?: number };
  if (values.profile) await profile(values.profile, () => settle(run.step()));
  run.end();
  const program = compiledPrograms().at(-1)?.memory;
  return {
    trainBatch: batch,
    trainImagesPerSecond: rounded(batch / secondsPerStep),
    trainStepMs: rounded(secondsPerStep * 1000),
    trainPeakGiB: rounded(gibibytes(peakBytesInUse)),
    trainScratchGiB: program && rounded(gibibytes(program.temporaryBytes)),
    trainLosses: losses.map(rounded),
  };
}

async function lossesOf(kind: Precision, batch: number, steps: number): Promise<number[]> {
  const run = startRun(
    newStep(kind),
    [5, 6, 7, 8].map((seed) => drawBatch(seed, config, batch)),
  );
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await settle(run.step()));
  run.end();
  return losses;
}

/** The largest relative difference of the losses of two runs that differ in precision alone. */
async function measureDeviation(batch: number, steps: number) {
  const half = await lossesOf('bf16', batch, steps);
  const full = await lossesOf('fp32', batch, steps);
  const deviations = full.map((value, i) => Math.abs(half[i] - value) / value);
  return {
    bf16LossDeviation: rounded(Math.max(...deviations)),
    bf16LossDeviationMean: rounded(mean(deviations)),
    deviationBatch: batch,
    deviationLosses: { first: rounded(full[0]), last: rounded(full.at(-1)!), lastBf16: rounded(half.at(-1)!) },
  };
}

const batch = Number(values.batch);
const parts = partsOf(values.parts, ['compile', 'speed', 'deviation']);
const measured: { compileCachedSeconds?: number; preset: string; precision: Precision } = {
  preset: values.preset,
  precision,
};
const add = (found: Record<string, unknown>) => {
  console.log(JSON.stringify(found));
  Object.assign(measured, found);
};
if (parts.includes('compile')) add(await measureCompile(batch));
// Again, now from the folder.
if (parts.includes('compile') && measured.compileCachedSeconds === undefined) add(await measureCompile(batch));
if (parts.includes('speed')) add(await measureSpeed(batch, Number(values.steps)));
if (parts.includes('deviation'))
  add(await measureDeviation(Number(values['deviation-batch']), Number(values['deviation-steps'])));
report(describe(measured), values.out);
process.exit(0);
