// Files of the folders that the commands write and read back: checkpoints, latent caches, logs, locks, evaluations.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lockFolder } from '@tb/io';
import { useBackend } from '@tb/runtime';
import {
  describeWeights,
  loadNewestState,
  openLatentCache,
  openRun,
  readRecords,
  readWeightsInfo,
  renderReport,
  saveCheckpoint,
  writeLatentCache,
} from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { mutateBytes, mutateJson } from '../mutate.js';
import { anywhere, checked, inHeader, inJson } from '../mutations.js';
import { bytesOf, sha256, withHeader } from '../reseal.js';
import type { Target, TargetOpener } from '../target.js';
import { withoutLeaks } from '../tensor-leaks.js';

/** Mutants of text: most of them are still JSON. */
const ofText = inJson(0.6, anywhere());

const ofSafetensors = inHeader(0.6, anywhere());

/** Writes a file of a folder, and the hash that the manifest next to it states. */
function writeSealed(folder: string, file: string, bytes: Uint8Array): void {
  writeFileSync(join(folder, file), bytes);
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  manifest.files[file] = { bytes: bytes.length, sha256: sha256(bytes) };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
}

async function newRun(folder: string): Promise<string> {
  await useBackend('cpu');
  const run = join(folder, 'run');
  const leaf = (value: number) => ({
    layer: { weight: tf.tensor([value, 2, 3, 4], [2, 2]), bias: tf.tensor([value, 1]) },
  });
  const state = {
    params: leaf(1),
    ema: leaf(2),
    optimizer: { step: tf.scalar(3), firstMoment: leaf(4), secondMoment: leaf(5) },
  };
  const progress = {
    step: 3,
    retries: 0,
    smoothedLoss: 0.5,
    seconds: 9,
    seed: 1,
    config: { command: 'model', vae: 'v' },
  };
  await saveCheckpoint(run, state as never, progress, {
    metadata: describeWeights({
      classNames: ['cat', 'dog'],
      imageSize: 16,
      vaeSha256: 'ab'.repeat(32),
      latentScale: 0.5,
    }),
  });
  return run;
}

/** A file of a checkpoint, with a manifest that fits it, or the manifest. */
function checkpointFile(file: string, mutate: Target['mutate']): TargetOpener {
  const name = file === 'manifest.json' ? 'manifest of a checkpoint' : `${file} of a checkpoint`;
  return {
    name,
    cost: 3,
    open: async (folder) => {
      const run = await newRun(folder);
      const checkpoint = join(run, 'checkpoints', 'step-00000003');
      return {
        seeds: [bytesOf(join(checkpoint, file))],
        mutate,
        async read(bytes) {
          if (file === 'manifest.json') writeFileSync(join(checkpoint, file), bytes);
          else writeSealed(checkpoint, file, bytes);
          const options = await openRun(run).options();
          return withoutLeaks(async () => {
            const { state, damaged: _, ...loaded } = (await loadNewestState(run)) ?? { state: {}, damaged: [] };
            tf.dispose(state as never);
            return { loaded, options };
          });
        },
      };
    },
  };
}

const weightsMetadata: TargetOpener = {
  name: 'metadata of weights',
  cost: 1,
  open: async (folder) => {
    const run = await newRun(folder);
    const path = join(folder, 'model.safetensors');
    return {
      seeds: [bytesOf(join(run, 'checkpoints', 'step-00000003', 'ema.safetensors'))],
      mutate(random, seed, others) {
        const inside = (header: Uint8Array) => {
          const { __metadata__: metadata = {}, ...tensors } = JSON.parse(Buffer.from(header).toString());
          for (const key of Object.keys(metadata))
            if (random.uniform() < 0.4)
              metadata[key] = Buffer.from(mutateJson(random, Buffer.from(metadata[key]))).toString();
          return Buffer.from(JSON.stringify({ __metadata__: metadata, ...tensors }));
        };
        try {
          return { bytes: withHeader(seed, inside), isChecked: false };
        } catch {
          return { bytes: mutateBytes(random, seed, { others }), isChecked: false };
        }
      },
      async read(bytes) {
        writeFileSync(path, bytes);
        const { sha256: _, ...info } = await readWeightsInfo(path);
        return info;
      },
    };
  },
};

const cacheInfo = {
  classNames: ['a', 'b'],
  imageSize: 16,
  latentScale: 1,
  vaeSha256: 'x',
  latentShape: [1, 2, 3] as const,
};

const makeCache = (folder: string) =>
  writeLatentCache(
    folder,
    { ...cacheInfo, latentShape: [...cacheInfo.latentShape] },
    {
      training: {
        origin: 'six samples',
        length: 6,
        async *samplesFrom(first) {
          for (let place = first; place < 6; place++)
            yield { moments: Float32Array.from({ length: 24 }, (_, i) => place + i / 32), label: place % 2, place };
        },
      },
    },
    { samplesPerShard: 3 },
  );

async function readCache(folder: string): Promise<unknown> {
  const cache = await openLatentCache(folder);
  try {
    const rows: unknown[] = [];
    for (let index = 0; index < cache.length; index++)
      rows.push([cache.labelOf(index), await cache.read(index, false), await cache.read(index, true)]);
    const { classNames, imageSize, latentShape, latentScale, vaeSha256, shards } = cache;
    return { rows, classNames, imageSize, latentShape, latentScale, vaeSha256, shards };
  } finally {
    await cache.close();
  }
}

/** @param sealed - whether the manifest fits the mutant; without a manifest, the cache was interrupted and is made to its end */
function cacheFile(file: string, state: 'finished' | 'sealed' | 'interrupted', mutate: Target['mutate']): TargetOpener {
  const name = `${file === 'latents-00000.safetensors' ? 'shard' : file} of a latent cache, ${state}`;
  return {
    name,
    cost: state === 'interrupted' ? 25 : 4,
    open: async (parent) => {
      const folder = join(parent, 'cache');
      await makeCache(folder);
      const seed = bytesOf(join(folder, file));
      return {
        seeds: [seed],
        mutate,
        async read(bytes) {
          if (state === 'sealed') writeSealed(folder, file, bytes);
          else writeFileSync(join(folder, file), bytes);
          if (state === 'interrupted') {
            rmSync(join(folder, 'manifest.json'), { force: true });
            await makeCache(folder);
          }
          return readCache(folder);
        },
      };
    },
  };
}

const runLog: TargetOpener = {
  name: 'log of a run',
  cost: 1,
  open: async (folder) => {
    const lines = [
      { event: 'begin', step: 0, steps: 3, images: '2 classes, 4 images' },
      { event: 'step', step: 1, loss: 2.5, smoothedLoss: 2.5, learningRate: 1e-4, imagesPerSecond: 3, seconds: 1 },
      { event: 'validation', step: 1, loss: 2.25 },
      { event: 'bad-image', step: 1, path: 'cat/a.png', reason: 'it is empty' },
      { event: 'picture', step: 1, file: 'samples/step-00000001.png' },
    ];
    const path = join(folder, 'log.jsonl');
    return {
      seeds: [new TextEncoder().encode(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))],
      mutate(random, seed, others) {
        if (random.uniform() < 0.4) return { bytes: mutateBytes(random, seed, { others }), isChecked: false };
        const parts = Buffer.from(seed).toString().split('\n');
        const chosen = random.integers(0, parts.length);
        parts[chosen] = Buffer.from(mutateJson(random, Buffer.from(parts[chosen]!))).toString();
        return { bytes: new TextEncoder().encode(parts.join('\n')), isChecked: false };
      },
      async read(bytes) {
        writeFileSync(path, bytes);
        const records = readRecords(path);
        const html = renderReport({ title: 'run', config: {}, records, images: [] });
        if (/<script|<img|onerror=/i.test(html.replace(/<style>.*?<\/style>/s, '')))
          throw new TypeError('HTML of the log is in the report');
        return records.map(({ event }) => event);
      },
    };
  },
};

const lock: TargetOpener = {
  name: 'lock of a folder',
  cost: 8,
  open: async (folder) => {
    const place = join(folder, 'locked');
    mkdirSync(place, { recursive: true });
    const path = join(place, '.tb-lock');
    const leave = await lockFolder(place);
    const seed = bytesOf(path);
    await leave();
    return {
      seeds: [seed],
      mutate: ofText,
      async read(bytes) {
        writeFileSync(path, bytes);
        const giveBack = await lockFolder(place);
        await giveBack();
        return 'taken';
      },
    };
  },
};

export const folderTargets: readonly TargetOpener[] = [
  checkpointFile('manifest.json', ofText),
  checkpointFile('progress.json', ofText),
  checkpointFile('model.safetensors', ofSafetensors),
  checkpointFile('optimizer.safetensors', ofSafetensors),
  weightsMetadata,
  cacheFile('latents-00000.safetensors', 'finished', checked(ofSafetensors)),
  cacheFile('latents-00000.safetensors', 'sealed', ofSafetensors),
  cacheFile('latents-00000.safetensors', 'interrupted', checked(ofSafetensors)),
  cacheFile('cache.json', 'sealed', ofText),
  cacheFile('manifest.json', 'finished', ofText),
  runLog,
  lock,
];
