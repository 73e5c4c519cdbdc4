import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '@tb/io';
import { disposeTree, randomKey, useBackend } from '@tb/runtime';
import { initTokenBridge, presets, saveTokenBridge, type TokenBridge, type TokenBridgeConfig } from '@tb/tokenbridge';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { initTrainState, type TrainState } from '../train-step.js';
import { saveCheckpoint } from './checkpoint-writer.js';
import { checkpointFiles, checkpointFormat } from './layout.js';
import { assertSameVae, type LoadedModel, type LoadedVae, loadModel } from './load-weights.js';
import { writeManifest } from './manifest.js';
import { openRun } from './open-run.js';
import type { Progress } from './progress.js';
import { loadNewestState } from './training-state.js';
import { describeWeights } from './weights-info.js';

const config: TokenBridgeConfig = {
  ...presets.tiny,
  latent: { height: 4, width: 4, channels: 4 },
  classes: 3,
  quantizer: { levels: 8, min: -5, max: 5, range: 3 },
  channelOrder: [2, 0, 1, 3],
  backbone: {
    bufferSize: 2,
    mlpRatio: 2,
    encoder: { width: 16, depth: 1, heads: 2 },
    decoder: { width: 16, depth: 1, heads: 2 },
  },
  head: { kind: 'autoregressive', groupSize: 1, width: 16, depth: 1, heads: 2, mlpRatio: 2 },
};
const about = { modelConfig: config, classNames: ['ant', 'bee', 'cat'], imageSize: 32, vaeSha256: 'a'.repeat(64) };
const metadata = describeWeights(about);

const newRun = () => join(mkdtempSync(join(tmpdir(), 'tb-run-')), 'run');
const checkpointsIn = (run: string) => readdirSync(join(run, 'checkpoints')).sort();

function stateOf(seed: number): TrainState<TokenBridge> {
  const key = randomKey(seed);
  const params = initTokenBridge(key, config);
  key.dispose();
  return initTrainState(params);
}

async function save(run: string, step: number, seed = step, changes: Partial<Progress> = {}) {
  const state = stateOf(seed);
  const progress = { step, retries: 0, smoothedLoss: null, seconds: 0, seed: 0, config: {}, ...changes };
  try {
    return await saveCheckpoint(run, state, progress, { metadata });
  } finally {
    disposeTree(state);
  }
}

/** The embedding of the classes, which differs from seed to seed. */
const markOf = (params: unknown) => [...(params as TokenBridge).class_emb.weight.dataSync()];

function markOfSeed(seed: number): number[] {
  const state = stateOf(seed);
  const mark = markOf(state.params);
  disposeTree(state);
  return mark;
}

async function loadedMark(run: string): Promise<number[] | undefined> {
  const loaded = await loadNewestState(run);
  if (!loaded) return undefined;
  const mark = markOf(loaded.state.params);
  disposeTree(loaded.state);
  return mark;
}

beforeAll(() => useBackend('cpu'));

describe('saveCheckpoint', () => {
  it('replaces the checkpoint of the same step, and keeps only the newest ones', async () => {
    const run = newRun();
    for (const step of [1, 2, 3, 4, 5]) await save(run, step);
    await save(run, 5, 77);
    expect(checkpointsIn(run)).toEqual(['step-00000003', 'step-00000004', 'step-00000005']);
    expect(await loadedMark(run)).toEqual(markOfSeed(77));
  });
});

describe('openRun', () => {
  it('finds weights, classes and autoencoder in a run, in a checkpoint, and in one of its files', async () => {
    const run = newRun();
    const vae = join(run, '..', 'vae', 'vae.safetensors');
    await mkdir(join(vae, '..'));
    await writeFile(vae, 'an autoencoder');
    const { folder } = await save(run, 9, 1, { config: { vae: join(vae, '..') } });
    const before = tf.memory().numTensors;
    const [average, raw] = [await loadModel(run), await loadModel(run, { set: 'raw' })];
    expect(average).toMatchObject({ config, set: 'ema', step: 9, path: join(folder, 'ema.safetensors') });
    expect(raw).toMatchObject({ config, set: 'raw', step: 9, path: join(folder, 'model.safetensors') });
    const ofFile = await loadModel(join(folder, 'ema.safetensors'));
    const ofCheckpoint = await loadModel(folder);
    expect(ofFile).toMatchObject({ classNames: about.classNames, imageSize: 32, vaeSha256: about.vaeSha256 });
    for (const { vaeCandidates } of [average, ofFile, ofCheckpoint]) {
      expect(vaeCandidates[0]).toBe(vae);
    }
    for (const { params } of [average, raw, ofFile, ofCheckpoint]) disposeTree(params);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('takes the weights that a run finished with, unless those that are not averaged are asked for', async () => {
    const run = newRun();
    await save(run, 9, 1);
    const state = stateOf(2);
    await saveTokenBridge(join(run, 'model.safetensors'), { params: state.ema, config });
    disposeTree(state);
    expect(await openRun(run).weights('ema')).toEqual({ path: join(run, 'model.safetensors'), set: 'ema' });
    expect(await openRun(run).weights('raw')).toMatchObject({ step: 9 });
    const { folder } = await save(run, 12); // the run was resumed since, and stopped
    const later = new Date(Date.now() + 60_000);
    await utimes(join(folder, 'progress.json'), later, later);
    expect(await openRun(run).weights('ema')).toMatchObject({ newerCheckpoint: folder });
    await rm(join(run, 'checkpoints'), { recursive: true });
    await expect(openRun(run).weights('raw')).rejects.toThrow(/run holds no checkpoint; tb-train model makes them/);
    await expect(loadModel(join(run, '..'))).rejects.toThrow(/holds no checkpoint/);
  });

  it('reads a checkpoint that was copied out of its run', async () => {
    const run = newRun();
    const copy = join(run, '..', 'copy');
    await rename((await save(run, 9)).folder, copy);
    expect(await openRun(copy).newestCheckpoint()).toMatchObject({ folder: copy, progress: { step: 9 } });
  });

  it('refuses a checkpoint whose weights are not those of a model', async () => {
    const run = newRun();
    const state = stateOf(1);
    await saveCheckpoint(run, state, { step: 1, retries: 0, smoothedLoss: 1, seconds: 1, seed: 1, config: {} });
    disposeTree(state);
    await expect(loadModel(run)).rejects.toThrow(/--model .*run is not a run of tb-train model/);
  });
});

describe('assertSameVae', () => {
  const vae = { path: 'vae.safetensors', sha256: 'b'.repeat(64), config: { latentChannels: 4 } } as LoadedVae;
  const model = { path: 'model.safetensors', vaeSha256: 'a'.repeat(64), config } as LoadedModel;

  it('refuses another autoencoder, unless any is accepted whose latents fit', () => {
    expect(() => assertSameVae(model, vae, false)).toThrow(
      /begins with bbbbbbbbbbbb, and should with aaaaaaaaaaaa; --any-vae/,
    );
    assertSameVae(model, vae, true);
    assertSameVae({ ...model, vaeSha256: undefined }, vae, false); // weights of other makers do not state it
    assertSameVae({ ...model, vaeSha256: vae.sha256 }, vae, false);
    const wide = { ...vae, config: { ...vae.config, latentChannels: 16 } };
    expect(() => assertSameVae(model, wide, true)).toThrow(/latents of 16 channels, and the model works on 4/);
  });
});

describe('weights with damaged metadata', () => {
  it.each([
    ['tokenbridge.config', '{"latent"', /model\.safetensors: its metadata tokenbridge\.config: /],
    ['tokenbridge.config', '[]', /its metadata tokenbridge\.config: it must be an object, but is a list/],
    [
      'tokenbridge.config',
      '{}',
      /its metadata tokenbridge\.config does not describe a model: it is not a configuration/,
    ],
    ['classNames', '["a",', /its metadata classNames: /],
    ['classNames', '"cat"', /its metadata classNames: it must be a list, but is "cat"/],
    ['imageSize', 'NaN', /its metadata imageSize: /],
    ['imageSize', '-3', /its metadata imageSize: it must be a count/],
    ['vae.config', '{"channels": 3}', /its metadata vae\.config: \w+ must be/],
  ])('are refused in one sentence where %s is %j', async (key, value, message) => {
    const path = join(newRun(), 'model.safetensors');
    await mkdir(join(path, '..'));
    await writeSafetensors(path, {}, { metadata: { ...metadata, [key]: value } });
    await expect(loadModel(path)).rejects.toThrow(message);
  });
});

describe('a damaged checkpoint', () => {
  const files = Object.values(checkpointFiles);
  const reseal = (folder: string) => writeManifest(folder, checkpointFormat, files);
  /** Changes a JSON file, and writes the manifest of what it is now. */
  const rewrite = (file: string, text: string) => async (folder: string) => {
    await writeFile(join(folder, file), text);
    await reseal(folder);
  };
  const progress = (changes: object) =>
    rewrite(
      'progress.json',
      JSON.stringify({ step: 2, retries: 0, smoothedLoss: null, seconds: 0, seed: 0, config: {}, ...changes }),
    );
  const manifest = (change: (files: Record<string, unknown>) => unknown) => async (folder: string) => {
    const path = join(folder, 'manifest.json');
    const content = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify(change(content.files)));
  };
  const listing = (listed: unknown) => ({ format: checkpointFormat, version: 1, files: listed });

  it.each<[string, (folder: string) => Promise<void>, RegExp]>([
    [
      'without a manifest',
      (folder) => rm(join(folder, 'manifest.json')),
      /manifest\.json cannot be read: it does not ex/,
    ],
    ['with a manifest that is null', manifest(() => null), /manifest\.json: it must be an object, but is null/],
    ['with a manifest that is a list', manifest(() => [1]), /manifest\.json: it must be an object, but is a list/],
    [
      'with a manifest cut short',
      (folder) => writeFile(join(folder, 'manifest.json'), '{"form'),
      /manifest\.json: ends in the middle of its JSON/,
    ],
    [
      'whose manifest has null for a file',
      manifest((all) => listing({ ...all, 'ema.safetensors': null })),
      /manifest\.json: files/,
    ],
    ['whose manifest lists no files', manifest(() => listing({})), /manifest\.json does not list model\.safetensors/],
    [
      'whose manifest lists files elsewhere',
      manifest((all) => listing({ ...all, '../x': { sha256: '' } })),
      /manifest\.json: files/,
    ],
    [
      'with a missing file',
      (folder) => rm(join(folder, 'ema.safetensors')),
      /ema\.safetensors cannot be read: it does not exist/,
    ],
    [
      'with a changed file',
      (folder) => writeFile(join(folder, 'ema.safetensors'), 'x'),
      /ema\.safetensors does not have the SHA-256/,
    ],
    ['whose progress is null', rewrite('progress.json', 'null'), /progress\.json: it must be an object, but is null/],
    ['whose progress is not JSON', rewrite('progress.json', '{"step": 2,'), /progress\.json: is not JSON/],
    ['whose step is negative', progress({ step: -1 }), /progress\.json: step must be a count .*, but is -1/],
    ['whose step is a text', progress({ step: '2' }), /progress\.json: step must be a count .*, but is "2"/],
    ['whose options are a list', progress({ config: [] }), /progress\.json: config must be an object, but is a list/],
    [
      'whose optimizer is not safetensors',
      rewrite('optimizer.safetensors', 'x'.repeat(99)),
      /optimizer\.safetensors: byte/,
    ],
    [
      'whose average is another file',
      async (folder) => {
        await writeFile(join(folder, 'ema.safetensors'), await readFile(join(folder, 'optimizer.safetensors')));
        await reseal(folder);
      },
      /ema\.safetensors does not fit the other files: .* must be F32/,
    ],
  ])('%s is passed over for the one before it, and leaves no tensors', async (_, damage, reason) => {
    const run = newRun();
    await save(run, 1);
    const { folder } = await save(run, 2);
    await damage(folder);
    const before = tf.memory().numTensors;
    const loaded = await loadNewestState(run);
    expect(loaded?.progress.step).toBe(1);
    expect(loaded?.damaged).toEqual([expect.stringMatching(reason)]);
    expect(loaded?.damaged[0]).toContain(folder);
    if (loaded) disposeTree(loaded.state);
    await rm(join(run, 'checkpoints', 'step-00000001'), { recursive: true });
    await expect(loadNewestState(run)).rejects.toThrow(reason);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is named when nothing else is there, also where it was given directly', async () => {
    const run = newRun();
    const { folder } = await save(run, 1);
    await writeFile(join(folder, 'manifest.json'), 'null');
    for (const path of [run, folder]) {
      await expect(loadModel(path)).rejects.toThrow(/no checkpoint is intact: .*step-00000001.manifest\.json: it must/);
    }
    expect(await openRun(run).hasCheckpoints()).toBe(true);
  });

  it('is noticed when one of its files is named directly', async () => {
    const { folder } = await save(newRun(), 1);
    const path = join(folder, 'ema.safetensors');
    const bytes = await readFile(path);
    bytes[bytes.length - 1] ^= 1;
    await writeFile(path, bytes);
    await expect(loadModel(path)).rejects.toThrow(/ema\.safetensors: it does not have the SHA-256 that its checkpoint/);
    await rm(join(folder, 'manifest.json')); // a file that was copied elsewhere has no checkpoint
    disposeTree((await loadModel(path)).params);
  });

  it('is not looked for in a file', async () => {
    const run = newRun();
    await mkdir(run);
    await writeFile(join(run, 'checkpoints'), '');
    await expect(openRun(run).hasCheckpoints()).rejects.toThrow(/checkpoints cannot be read: it is a file/);
    expect(existsSync(join(run, 'checkpoints'))).toBe(true);
  });
});
