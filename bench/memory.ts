/**
 * Whether memory is steady while a small model trains with new masks, and so new shapes, at every step: tensors, and the
 * size of the process, over many steps, each time after JavaScript's own garbage is collected.
 *
 *   node --import tsx --conditions=@tb/source bench/memory.ts [--backend tensorflow] [--steps 1000] [--out …]
 *
 * Fails if a tensor is left behind, or if the process grows by more than 64 MB after the first fifth of the steps.
 */
import { parseArgs } from 'node:util';
import { type BackendName, useBackend } from '@tb/runtime';
import { collectGarbage } from '@tb/test-utils/garbage';
import { presets, type TokenBridgeConfig } from '@tb/tokenbridge';
import * as tf from '@tensorflow/tfjs-core';
import { describe, report } from './results.js';
import { startTraining } from './tiny-model.js';

const IMAGES = 4;
const GROWTH_ALLOWED_MB = 64;

/** The tiny preset with narrow, single blocks: every kind of operation of a step, in a tenth of its time. */
const network = { width: 64, depth: 1, heads: 4 };
const config: TokenBridgeConfig = {
  ...presets.tiny,
  latent: { height: 4, width: 4, channels: 16 },
  backbone: { ...presets.tiny.backbone, encoder: network, decoder: network },
  head: { ...presets.tiny.head, ...network },
};

const { values } = parseArgs({
  options: {
    backend: { type: 'string', default: 'tensorflow' },
    steps: { type: 'string', default: '1000' },
    out: { type: 'string' },
  },
});
const steps = Number(values.steps);
const { reason } = await useBackend(values.backend as BackendName);
const training = startTraining(IMAGES, { config, newMasks: true });
const every = Math.ceil(steps / 10);
const samples: { step: number; numTensors: number; residentMB: number }[] = [];
let loss = 0;
for (let step = 1; step <= steps; step++) {
  loss = await training.step();
  if (step % every > 0) continue;
  collectGarbage();
  const { numTensors } = tf.memory();
  samples.push({ step, numTensors, residentMB: Math.round(process.memoryUsage().rss / 1e6) });
  console.error(`step ${step}: ${numTensors} tensors, ${samples.at(-1)!.residentMB} MB`);
}
training.end();

const afterWarmUp = samples[1];
const last = samples.at(-1)!;
const growthMB = last.residentMB - afterWarmUp.residentMB;
const isSteady = last.numTensors === samples[0].numTensors && growthMB <= GROWTH_ALLOWED_MB;
report(describe({ [values.backend]: { engine: reason, steps, isSteady, growthMB, loss, samples } }), values.out);
if (!isSteady) process.exitCode = 1;
