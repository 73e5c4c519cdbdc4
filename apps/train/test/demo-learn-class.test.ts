import { disposeTree, useBackend } from '@tb/runtime';
import { loadModel, loadVaeFile } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it, vi } from 'vitest';
import { learnClass } from '../src/commands/demo/learn-class.js';
import { resolveDemo } from '../src/commands/demo/options.js';
import { packageFolder } from '../src/package.js';

it('learns a class from a new photograph and leaves the model as it was', { timeout: 240_000 }, async () => {
  await useBackend('wasm');
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const weights = {
    vae: await loadVaeFile(packageFolder('demo/vae.safetensors')),
    model: await loadModel(packageFolder('demo/model.safetensors')),
    photographs: packageFolder('demo/photos'),
  };
  const before = tf.memory().numTensors;
  const { name, image, heldOutLoss, records } = await learnClass(weights, resolveDemo({ steps: 2, numIter: 2 }));
  expect(name).toBe('coins');
  const { before: first, after } = heldOutLoss; // it falls after some ten updates, which would take a minute here
  for (const loss of [first, after]) expect(loss).toBeGreaterThan(2);
  expect(after).not.toBe(first);
  expect(records.filter((record) => 'loss' in record).length).toBeGreaterThan(0);
  expect(image.png.length).toBeGreaterThan(10_000);
  expect(weights.model.config.classes).toBe(10);
  expect(tf.memory().numTensors).toBe(before);
  disposeTree([weights.vae.params, weights.model.params]);
  vi.restoreAllMocks();
});
