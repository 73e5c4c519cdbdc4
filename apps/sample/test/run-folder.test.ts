import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileSha256, writeSafetensors } from '@tb/io';
import { disposeTree, randomKey, type Tree, useBackend } from '@tb/runtime';
import { initTokenBridge, presets, type TokenBridgeConfig } from '@tb/tokenbridge';
import { describeWeights, readTree, writeManifest } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../src/weights/load-model.js';
import { findCheckpoint } from '../src/weights/run-folder.js';
import { runCommand } from './run-command.js';

let root: string;
let run: string;
let vae: string;
const config: TokenBridgeConfig = {
  ...presets.tiny,
  latent: { height: 4, width: 4, channels: 16 },
  classes: 3,
  quantizer: { ...presets.tiny.quantizer, levels: 12 },
};

/**
 * A checkpoint as tb-train writes it, with weights that the seed decides.
 *
 * @param step - of an even one the run names the folder of its autoencoder, of an odd one the file
 * @param metadata - what the weights say about themselves; those of earlier versions say nothing
 */
async function writeCheckpoint(step: number, seeds: { model: number; ema: number }, metadata?: Record<string, string>) {
  const folder = join(run, 'checkpoints', `step-${String(step).padStart(8, '0')}`);
  await mkdir(folder, { recursive: true });
  for (const [part, seed] of Object.entries({ ...seeds, optimizer: 0 })) {
    const key = randomKey(seed);
    const params = initTokenBridge(key, config) as unknown as Tree<tf.Tensor>;
    await writeSafetensors(join(folder, `${part}.safetensors`), await readTree(params), { metadata });
    disposeTree([params, key]);
  }
  await writeFile(
    join(folder, 'progress.json'),
    JSON.stringify({ step, config: { preset: 'tiny', levels: 12, vae: step % 2 ? vae : dirname(vae) } }),
  );
  const files = ['model.safetensors', 'ema.safetensors', 'optimizer.safetensors', 'progress.json'];
  await writeManifest(folder, 'tokenbridge-checkpoint', files);
  return folder;
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tb-sample-'));
  run = join(root, 'run');
  await mkdir(join(root, 'somewhere'));
  vae = join(root, 'somewhere', 'vae.safetensors');
  await writeFile(vae, 'an autoencoder');
  await useBackend('wasm');
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('runs of tb-train', () => {
  it('finds sizes and weights in the newest whole checkpoint, of earlier versions too', async () => {
    const older = await writeCheckpoint(9, { model: 1, ema: 2 });
    const before = tf.memory().numTensors;
    const [average, raw] = [await loadModel(run, undefined), await loadModel(run, 'raw')];
    expect(average).toMatchObject({ config, set: 'ema', classNames: undefined, vaeCandidates: [vae] });
    expect(raw).toMatchObject({ config, set: 'raw' });
    const [a, b] = [average, raw].map(({ params }) => params.class_emb.weight.dataSync());
    expect(a).not.toEqual(b);
    for (const { params } of [average, raw]) disposeTree(params);
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

  it('knows classes, image size and autoencoder of a checkpoint that says them', async () => {
    const own = { ...config, training: { ...config.training, labelDropout: 0.2 } };
    const about = { classNames: ['ant', 'bee', 'cat'], imageSize: 32, vaeSha256: await fileSha256(vae) };
    const metadata = describeWeights({ modelConfig: own, ...about });
    const folder = await writeCheckpoint(20, { model: 1, ema: 2 }, metadata);
    const { classNames, vaeSha256 } = about;
    for (const named of [folder, join(folder, 'ema.safetensors')]) {
      const { params, ...loaded } = await loadModel(named, undefined);
      disposeTree(params);
      expect(loaded).toMatchObject({ config: own, classNames, vaeSha256, vaeCandidates: [vae] });
    }
    const { stdout } = await runCommand('inspect', folder, '--no-tensors');
    expect(stdout).toMatch(/classes +3: ant, bee, cat\n/);
    expect(stdout).toMatch(/pictures +32 × 32 pixels\n/);
    expect(stdout).toMatch(new RegExp(`SHA-256 of the autoencoder +${vaeSha256}\n`));
    expect(stdout).toMatch(/"labelDropout": 0\.2/);
  });

  it('takes the finished weights of a run, which are averaged, unless raw ones are wanted', async () => {
    await rm(join(run, 'checkpoints'), { recursive: true });
    await writeFile(join(run, 'model.safetensors'), 'damaged');
    await expect(loadModel(run, undefined)).rejects.toThrow(/model\.safetensors: byte 0/);
    await expect(loadModel(run, 'raw')).rejects.toThrow(/holds no checkpoint; tb-train model makes them/);
    await expect(loadModel(root, undefined)).rejects.toThrow(/holds no checkpoint; tb-train model makes them/);
  });
});
