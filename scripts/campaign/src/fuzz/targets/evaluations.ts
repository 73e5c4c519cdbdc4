// What evaluations and options read: work files, statistics of other makers, samples, small networks, configuration files.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeNpz } from '@tb/io';
import {
  createCollection,
  type FeatureExtractor,
  initSmallFeatures,
  loadCollection,
  loadReference,
  loadSmallFeatures,
  openSampleNpz,
  saveCollection,
  saveSmallFeatures,
} from '@tb/metrics';
import { randomKey, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { modelOptions } from '../../../../../apps/train/src/commands/model/options.js';
import { readConfig } from '../../../../../apps/train/src/options/files.js';
import { mutateBytes, mutateJson } from '../mutate.js';
import { resealMember, storedMember, withHeader } from '../reseal.js';
import type { TargetOpener } from '../target.js';
import { withoutLeaks } from '../tensor-leaks.js';

const extractor: FeatureExtractor = {
  name: 'three numbers',
  weightsHash: 'w'.repeat(64),
  distanceName: 'distance',
  dimensions: 3,
  spatialDimensions: 2,
  classes: 4,
  extract: () => {
    throw new Error('not used');
  },
};

const bytesOf = (path: string) => Uint8Array.from(readFileSync(path));

const workFile: TargetOpener = {
  name: 'work file of an evaluation',
  cost: 1,
  open: async (folder) => {
    const path = join(folder, 'samples.safetensors');
    const collection = Object.assign(createCollection(extractor, 12, 5), { count: 10, pixelHash: 'p'.repeat(64) });
    collection.features.fill(0.25);
    const origin = { source: 'images', fingerprint: 'f', total: 12, kept: 5 };
    await saveCollection(path, collection, {
      ...origin,
      extractor: extractor.name,
      weightsHash: extractor.weightsHash,
    });
    return {
      name: 'work file of an evaluation',
      seeds: [bytesOf(path)],
      mutate: (random, seed) => ({
        bytes:
          random.uniform() < 0.5 ? withHeader(seed, (header) => mutateJson(random, header)) : mutateBytes(random, seed),
        isChecked: true,
      }),
      async read(bytes) {
        writeFileSync(path, bytes);
        return loadCollection(path, extractor);
      },
    };
  },
};

/** Mutants of an npz file, half of them in one array and with the right checksum. */
async function npzTarget(
  name: string,
  path: string,
  ending: string,
  read: (path: string) => Promise<unknown>,
): ReturnType<TargetOpener['open']> {
  const seed = bytesOf(path);
  const member = await storedMember(seed, ending);
  return {
    name,
    seeds: [seed],
    mutate(random, base) {
      if (base !== seed || member === undefined || random.uniform() < 0.4)
        return { bytes: mutateBytes(random, base), isChecked: false };
      const end = random.uniform() < 0.7 ? member.begin + 128 : member.end;
      return {
        bytes: resealMember(mutateBytes(random, base, { ...member, end, inPlace: true }), member),
        isChecked: false,
      };
    },
    async read(bytes) {
      writeFileSync(path, bytes);
      return read(path);
    },
  };
}

const statistics: TargetOpener = {
  name: 'statistics of ADM',
  cost: 2,
  open: async (folder) => {
    const path = join(folder, 'reference.npz');
    const float64 = (shape: number[], data: number[]) => ({
      dtype: 'F64' as const,
      shape,
      data: Float64Array.from(data),
    });
    await writeNpz(path, { sigma: float64([3, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1]), mu: float64([3], [0, 1, 2]) });
    return npzTarget('statistics of ADM', path, '.npy', (file) => loadReference(file, extractor));
  },
};

const samples: TargetOpener = {
  name: 'samples in npz',
  cost: 2,
  open: async (folder) => {
    const path = join(folder, 'samples.npz');
    const data = Uint8Array.from({ length: 4 * 2 * 2 * 3 }, (_, i) => i);
    await writeNpz(path, { arr_0: { dtype: 'U8', shape: [4, 2, 2, 3], data } });
    return npzTarget('samples in npz', path, 'arr_0.npy', async (file) => {
      const { count, batches } = await openSampleNpz(file);
      let read = 0;
      for await (const batch of batches(2)) read += batch.count;
      return [count, read];
    });
  },
};

const smallNetwork: TargetOpener = {
  name: 'small feature network',
  cost: 3,
  open: async (folder) => {
    await useBackend('cpu');
    const path = join(folder, 'features.safetensors');
    const config = { classes: 2, imageSize: 32, widths: [8, 8, 8, 8] };
    const params = initSmallFeatures(randomKey(1), config);
    await saveSmallFeatures(path, { params, config, classNames: ['cat', 'dog'] });
    return {
      name: 'small feature network',
      seeds: [bytesOf(path)],
      mutate: (random, seed) => ({
        bytes:
          random.uniform() < 0.6
            ? withHeader(seed, (header) => mutateJson(random, header))
            : mutateBytes(random, seed, { end: random.uniform() < 0.5 ? 600 : seed.length }),
        isChecked: true,
      }),
      async read(bytes) {
        writeFileSync(path, bytes);
        return withoutLeaks(async () => {
          const { params: loaded, hash: _, ...facts } = await loadSmallFeatures(path);
          tf.dispose(loaded as never);
          return facts;
        });
      },
    };
  },
};

const configuration: TargetOpener = {
  name: 'configuration file',
  cost: 1,
  open: async (folder) => {
    const path = join(folder, 'config.json');
    const values = {
      command: 'model',
      imageSize: 64,
      batch: 8,
      epochs: 3,
      flip: true,
      preset: 'tiny',
      data: 'images',
      out: 'run',
    };
    return {
      name: 'configuration file',
      seeds: [new TextEncoder().encode(JSON.stringify(values))],
      mutate: (random, seed, others) => ({
        bytes: random.uniform() < 0.7 ? mutateJson(random, seed) : mutateBytes(random, seed, { others }),
        isChecked: false,
      }),
      async read(bytes) {
        writeFileSync(path, bytes);
        return readConfig(modelOptions, path, 'model');
      },
    };
  },
};

export const evaluationTargets: readonly TargetOpener[] = [workFile, statistics, samples, smallNetwork, configuration];
