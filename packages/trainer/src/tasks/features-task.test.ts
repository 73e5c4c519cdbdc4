import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, hostRandom, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { toyOptions } from '../../test/toy-task.js';
import { prefetch } from '../data/batches.js';
import type { ImageBatch } from '../data/image-batches.js';
import { readRecords } from '../log/json-lines.js';
import { createRunLog } from '../log/run-log.js';
import { train } from '../train.js';
import { createFeaturesTask } from './features-task.js';

const size = 32;
const config = { classes: 2, imageSize: size, widths: [8, 16] };

/** Noise whose class is the direction of its stripes: colour alone does not show it. */
function striped(step: number): ImageBatch {
  const random = hostRandom(2, step);
  const labels = Int32Array.from({ length: 8 }, (_, row) => row % 2);
  const images = Uint8Array.from({ length: 8 * size * size * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3) % (size * size);
    const along = labels[Math.floor(i / (size * size * 3))] === 0 ? pixel % size : Math.floor(pixel / size);
    return (along % 4 < 2 ? 170 : 85) + 60 * (random.uniform() - 0.5);
  });
  return { images, labels, paths: [] };
}

beforeAll(() => useBackend(testBackend));

it('learns to distinguish textures, on images that it has not seen', async () => {
  const before = tf.memory().numTensors;
  const out = mkdtempSync(join(tmpdir(), 'tb-features-'));
  const task = createFeaturesTask({
    config,
    size,
    heldOut: [striped(1000), striped(1001)],
    openBatches: (firstStep) => ({
      samplesPerEpoch: 8,
      batchSize: 8,
      next: prefetch(async (step) => striped(step), firstStep, 1).next,
      describe: () => 'stripes',
      close: async () => {},
    }),
  });
  const schedule = { kind: 'constant', peak: 5e-3, minimum: 0, warmup: 0, total: 30 } as const;
  const options = toyOptions(out, { steps: 30, schedule, validateEvery: 30, checkpointEvery: 30, emaRate: 0.8 });
  const log = createRunLog({ out, title: 'features', config: {}, terminal: { write: () => {} } });
  const { state } = await train(task, options, log);
  disposeTree(state);
  const validation = readRecords(join(out, 'log.jsonl')).filter(({ event }) => event === 'validation');
  expect(validation.at(-1)).toMatchObject({ step: 30, accuracy: 1 });
  expect(tf.memory().numTensors).toBe(before);
});
