import { readdirSync } from 'node:fs';
import { hostRandom, useBackend } from '@tb/runtime';
import { expectClose, formulaWeights, goldenJson, goldenPath, testBackend } from '@tb/test-utils';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Collection, collect, createCollection } from '../evaluation/collect.js';
import { type FeatureExtractor, inceptionExtractor } from '../evaluation/feature-extractor.js';
import { frechetDistance } from '../frechet-distance.js';
import { finishStatistics } from '../gaussian-statistics.js';
import { samplesInMemory } from '../samples/sample-source.js';
import { inceptionWeights } from './weights.js';

const SIZE = 48;

/** The corners of four photographs, as pixels. */
async function readCrops(): Promise<Uint8Array[]> {
  const names = readdirSync(goldenPath('crop')).filter((name) => name.endsWith('.png'));
  const region = { left: 0, top: 0, width: SIZE, height: SIZE };
  const read = (name: string) => sharp(goldenPath('crop', name)).removeAlpha().extract(region).raw().toBuffer();
  return Promise.all(names.sort().slice(0, 4).map(read));
}

/** The same noise at any strength, which is its standard deviation in levels. */
function addNoise(crops: Uint8Array[], strength: number): Uint8Array[] {
  const { normal } = hostRandom(5);
  return crops.map((crop) => crop.map((value) => Math.min(255, Math.max(0, Math.round(value + strength * normal())))));
}

describe('the distance of Inception-v3 between photographs', () => {
  let extractor: FeatureExtractor;
  let crops: Uint8Array[];
  let photographs: Collection;
  const run = (images: Uint8Array[], batchSize: number) => {
    const pixels = new Uint8Array(Buffer.concat(images));
    const source = samplesInMemory('crops', { pixels, count: images.length, height: SIZE, width: SIZE });
    return collect(source, extractor, createCollection(extractor, images.length), { batchSize });
  };
  const distance = (first: Collection, second: Collection) =>
    frechetDistance(finishStatistics(first.pool), finishStatistics(second.pool));

  beforeAll(async () => {
    await useBackend(testBackend);
    extractor = inceptionExtractor(
      inceptionWeights(formulaWeights(goldenJson('inception', 'weights.json'))),
      'formula',
    );
    crops = await readCrops();
    photographs = await run(crops, 4);
  });

  it('is zero to themselves, symmetric, and grows with noise', async () => {
    expect(distance(photographs, photographs)).toBeLessThan(1e-6);
    const distances = [0];
    for (const strength of [8, 24, 72]) {
      const noisy = await run(addNoise(crops, strength), 4);
      const [there, back] = [distance(noisy, photographs), distance(photographs, noisy)];
      expect(Math.abs(there - back)).toBeLessThan(1e-6 * there);
      distances.push(there);
    }
    for (let i = 1; i < distances.length; i++) expect(distances[i]).toBeGreaterThan(1.5 * distances[i - 1]);
  });

  it('depends neither on the order of images nor on how they are batched', async () => {
    const reordered = await run([crops[2], crops[0], crops[3], crops[1]], 3);
    expect(distance(reordered, photographs)).toBeLessThan(1e-6);
    const [ours, theirs] = [finishStatistics(reordered.pool), finishStatistics(photographs.pool)];
    expectClose(ours.mean, theirs.mean, 1e-5, 'mean');
    expectClose(ours.covariance, theirs.covariance, 1e-4, 'covariance');
  });
});
