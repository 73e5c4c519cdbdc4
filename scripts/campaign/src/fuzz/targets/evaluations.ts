// What evaluations and options read: work files, statistics of other makers, samples, small networks, configuration files.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeNpz } from '@tb/io';
import {
  createCollection,
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
import { threeNumbers } from '../../../../../packages/metrics/test/three-numbers.js';
import { anywhere, checked, inHeader, inJson, inMember, mostlyAtTheBeginning } from '../mutations.js';
import { bytesOf } from '../reseal.js';
import type { TargetOpener } from '../target.js';
import { withoutLeaks } from '../tensor-leaks.js';

const workFile: TargetOpener = {
  name: 'work file of an evaluation',
  cost: 1,
  open: async (folder) => {
    const path = join(folder, 'samples.safetensors');
    const collection = Object.assign(createCollection(threeNumbers, 12, 5), { count: 10, pixelHash: 'p'.repeat(64) });
    collection.features.fill(0.25);
    const origin = { source: 'images', fingerprint: 'f', total: 12, kept: 5 };
    await saveCollection(path, collection, {
      ...origin,
      extractor: threeNumbers.name,
      weightsHash: threeNumbers.weightsHash,
    });
    return {
      seeds: [bytesOf(path)],
      mutate: checked(inHeader(0.5, anywhere({ others: [] }))),
      async read(bytes) {
        writeFileSync(path, bytes);
        return loadCollection(path, threeNumbers);
      },
    };
  },
};

/** Mutants of an npz file, half of them in one array and with the right checksum. */
async function npzTarget(
  path: string,
  ending: string,
  read: (path: string) => Promise<unknown>,
): ReturnType<TargetOpener['open']> {
  const seed = bytesOf(path);
  return {
    seeds: [seed],
    mutate: await inMember([seed], ending, { anywhere: 0.4, isChecked: () => false, inHeader: 0.7 }),
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
    return npzTarget(path, '.npy', (file) => loadReference(file, threeNumbers));
  },
};

const samples: TargetOpener = {
  name: 'samples in npz',
  cost: 2,
  open: async (folder) => {
    const path = join(folder, 'samples.npz');
    const data = Uint8Array.from({ length: 4 * 2 * 2 * 3 }, (_, i) => i);
    await writeNpz(path, { arr_0: { dtype: 'U8', shape: [4, 2, 2, 3], data } });
    return npzTarget(path, 'arr_0.npy', async (file) => {
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
      seeds: [bytesOf(path)],
      mutate: checked(inHeader(0.6, mostlyAtTheBeginning(600, { others: [] }))),
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
      seeds: [new TextEncoder().encode(JSON.stringify(values))],
      mutate: inJson(0.7, anywhere()),
      async read(bytes) {
        writeFileSync(path, bytes);
        return readConfig(modelOptions, path, 'model');
      },
    };
  },
};

export const evaluationTargets: readonly TargetOpener[] = [workFile, statistics, samples, smallNetwork, configuration];
