import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, randomKey, type Tree, useBackend } from '@tb/runtime';
import { initTokenBridge, presets, saveTokenBridge, type TokenBridgeConfig } from '@tb/tokenbridge';
import { writeManifest } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../src/weights/load-model.js';
import { findCheckpoint } from '../src/weights/run-folder.js';

let root: string;
let run: string;
const config: TokenBridgeConfig = {
  ...presets.tiny,
  latent: { height: 4, width: 4, channels: 16 },
  classes: 3,
  quantizer: { ...presets.tiny.quantizer, levels: 12 },
};

/** A checkpoint as tb-train writes it, with weights that the seed decides. */
async function writeCheckpoint(step: number, seeds: { model: number; ema: number }): Promise<string> {
  const folder = join(run, 'checkpoints', `step-${String(step).padStart(8, '0')}`);
  await mkdir(folder, { recursive: true });
  for (const [part, seed] of Object.entries(seeds)) {
    const key = randomKey(seed);
    const params = initTokenBridge(key, config);
    await saveTokenBridge(join(folder, `${part}.safetensors`), { params, config });
    disposeTree(params as unknown as Tree<tf.Tensor>);
    key.dispose();
  }
  await writeFile(join(folder, 'optimizer.safetensors'), '');
  const progress = { step, config: { preset: 'tiny', levels: 12, vae: 'somewhere/vae.safetensors' } };
  await writeFile(join(folder, 'progress.json'), JSON.stringify(progress));
  const files = ['model.safetensors', 'ema.safetensors', 'optimizer.safetensors', 'progress.json'];
  await writeManifest(folder, 'tokenbridge-checkpoint', files);
  return folder;
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tb-sample-'));
  run = join(root, 'run');
  await useBackend('wasm');
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('runs of tb-train', () => {
  it('finds sizes and weights in the newest whole checkpoint', async () => {
    const older = await writeCheckpoint(9, { model: 1, ema: 2 });
    const before = tf.memory().numTensors;
    const [average, raw] = [await loadModel(run, undefined), await loadModel(run, 'raw')];
    expect(average).toMatchObject({ config, set: 'ema', vaeCandidates: ['somewhere/vae.safetensors'] });
    expect(raw).toMatchObject({ config, set: 'raw' });
    const [a, b] = [average, raw].map(({ params }) => params.class_emb.weight.dataSync());
    expect(a).not.toEqual(b);
    for (const { params } of [average, raw]) disposeTree(params as unknown as Tree<tf.Tensor>);
    expect(tf.memory().numTensors).toBe(before);

    const newer = join(run, 'checkpoints', 'step-00000010');
    await mkdir(newer);
    await writeFile(join(newer, 'manifest.json'), await readFile(join(older, 'manifest.json')));
    expect(await findCheckpoint(run)).toBe(older);
    await writeFile(join(older, 'optimizer.safetensors'), 'changed');
    await expect(loadModel(run, undefined)).rejects.toThrow(
      /holds no checkpoint that is whole \(.*step-00000009: optimizer/,
    );
  });

  it('takes the finished weights of a run, which are averaged, unless raw ones are wanted', async () => {
    await writeFile(join(run, 'model.safetensors'), 'damaged');
    await expect(loadModel(run, undefined)).rejects.toThrow(/model\.safetensors: byte 0/);
    await expect(loadModel(run, 'raw')).rejects.toThrow(/holds no checkpoint that is whole/);
    await expect(loadModel(root, undefined)).rejects.toThrow(/holds no checkpoint; tb-train model makes them/);
  });
});
