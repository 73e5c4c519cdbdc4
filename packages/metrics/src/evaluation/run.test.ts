import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, writeNpz } from '@tb/io';
import { hostRandom, useBackend } from '@tb/runtime';
import { goldenPath } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gridExtractor } from '../../test/grid-extractor.js';
import { openSampleFolder } from '../samples/folder.js';
import { reportText } from './report-text.js';
import { evaluatePaths, openSamples, type RunOptions, saveReferenceStatistics } from './run.js';

/** Crops of one photograph, 32×32, with noise of the given strength, as PNG files. */
async function writeCrops(folder: string, count: number, noise: number, settings?: object): Promise<string> {
  await mkdir(folder, { recursive: true });
  const photograph = sharp(goldenPath('crop', 'chelsea_256.png'));
  const random = hostRandom(7);
  for (let i = 0; i < count; i++) {
    const left = (i * 37) % 224;
    const top = (i * 53) % 224;
    const crop = photograph.clone().removeAlpha().extract({ left, top, width: 32, height: 32 });
    const pixels = await crop.raw().toBuffer();
    for (let k = 0; k < pixels.length; k++) {
      pixels[k] = Math.min(255, Math.max(0, pixels[k] + noise * (random.uniform() - 0.5)));
    }
    const image = sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } });
    await writeFile(join(folder, `${String(i).padStart(4, '0')}.png`), await image.png().toBuffer());
  }
  if (settings) await writeFile(`${folder}.json`, JSON.stringify(settings));
  return folder;
}

describe('evaluatePaths', () => {
  let root: string;
  let clean: string;
  const options = (): RunOptions => ({ version: '0.0.0', batchSize: 8, resamples: 2, random: hostRandom(1).uniform });
  beforeAll(async () => {
    await useBackend('wasm');
    root = await mkdtemp(join(tmpdir(), 'tb-metrics-'));
    clean = await writeCrops(join(root, 'clean'), 60, 0);
  });
  afterAll(() => rm(root, { recursive: true }));

  it('finds no distance between a folder and itself, and one that grows with noise', async () => {
    const before = tf.memory().numTensors;
    const self = await evaluatePaths(clean, clean, gridExtractor, options());
    expect(self.frechetDistance).toBeLessThan(1e-6);
    expect(self.manifold).toMatchObject({ precision: 1, recall: 1 });
    const distances = [self.frechetDistance];
    for (const noise of [60, 180, 400]) {
      const noisy = await writeCrops(join(root, `noise-${noise}`), 60, noise);
      distances.push((await evaluatePaths(noisy, clean, gridExtractor, options())).frechetDistance);
    }
    expect(distances).toEqual([...distances].sort((a, b) => a - b));
    expect(tf.memory().numTensors).toBe(before);
  });

  it('gives the same numbers from a folder, an npz and saved statistics, at any batch size', async () => {
    const samples = await writeCrops(join(root, 'samples'), 40, 90);
    const first = await evaluatePaths(samples, clean, gridExtractor, options());
    const statistics = join(root, 'reference.safetensors');
    await saveReferenceStatistics(clean, statistics, gridExtractor, options());
    const npz = join(root, 'samples.npz');
    const source = await openSampleFolder(samples);
    const pixels: Uint8Array[] = [];
    for await (const batch of source.batches(16)) pixels.push(batch.pixels);
    await writeNpz(npz, {
      arr_0: { dtype: 'U8', shape: [40, 32, 32, 3], data: Uint8Array.from(Buffer.concat(pixels)) },
    });
    await writeFile(join(root, 'samples.json'), JSON.stringify({ cfg: 3.1 }));
    const second = await evaluatePaths(npz, statistics, gridExtractor, { ...options(), batchSize: 7 });
    expect(second.frechetDistance).toBeCloseTo(first.frechetDistance, 9);
    expect(second.inceptionScore?.mean).toBeCloseTo(first.inceptionScore!.mean, 9);
    expect(second.manifold).toEqual(first.manifold);
    expect(second.settings).toEqual({ cfg: 3.1 });
    expect(reportText(second)).toMatch(/Fréchet distance of grid means +0\.\d+ .*95%[\s\S]*warning: only 40 samples/);
  });

  it('compares with statistics in the form of ADM', async () => {
    const file = join(root, 'adm.npz');
    const { frechetDistance } = await evaluatePaths(clean, clean, gridExtractor, options());
    const source = await openSampleFolder(clean);
    const { gaussianStatistics } = await import('../gaussian-statistics.js');
    const features: number[] = [];
    for await (const { pixels, count } of source.batches(60)) {
      const { pool, logits } = gridExtractor.extract(tf.tensor4d(Float32Array.from(pixels), [count, 32, 32, 3]));
      features.push(...pool.dataSync());
      tf.dispose([pool, logits!]);
    }
    const { mean, covariance } = gaussianStatistics(features, 48);
    await writeNpz(file, {
      mu: { dtype: 'F64', shape: [48], data: mean as Float64Array<ArrayBuffer> },
      sigma: { dtype: 'F64', shape: [48, 48], data: covariance as Float64Array<ArrayBuffer> },
    });
    const report = await evaluatePaths(clean, file, gridExtractor, options());
    expect(report.frechetDistance).toBeCloseTo(frechetDistance, 6);
    expect(report.manifold).toBeUndefined();
    expect(report.warnings.join()).toMatch(/statistics only/);
  });

  it('goes on where an interrupted run stopped, with the same result', async () => {
    const work = join(root, 'work');
    const whole = await evaluatePaths(clean, clean, gridExtractor, options());
    let calls = 0;
    const interrupted = evaluatePaths(clean, clean, gridExtractor, {
      ...options(),
      workFolder: work,
      saveEvery: 16,
      onProgress: () => {
        if (++calls === 5) throw new Error('interrupted');
      },
    });
    await expect(interrupted).rejects.toThrow('interrupted');
    const { metadata } = await readSafetensors(join(work, 'reference.safetensors'));
    expect(Number(metadata.count)).toBe(32);
    const seen: number[] = [];
    const resumed = await evaluatePaths(clean, clean, gridExtractor, {
      ...options(),
      workFolder: work,
      onProgress: (what, done) => what === 'reference' && seen.push(done),
    });
    expect(seen[0]).toBe(40);
    expect({ ...resumed, date: '' }).toEqual({ ...whole, date: '' });
  });

  it('refuses what it cannot compare in one sentence', async () => {
    await expect(openSamples(join(root, 'nowhere'))).rejects.toThrow(/nowhere does not exist/);
    const empty = join(root, 'empty');
    await mkdir(empty);
    await expect(openSamples(empty)).rejects.toThrow(/holds no images/);
    const lossy = join(root, 'lossy');
    await mkdir(lossy);
    const [name] = await readdir(clean);
    await sharp(join(clean, name)).jpeg().toFile(join(lossy, 'a.jpg'));
    await expect(openSamples(lossy)).rejects.toThrow(/1 lossy images .*--allow-lossy/);
    expect((await openSamples(lossy, true)).count).toBe(1);
    const statistics = join(root, 'other.safetensors');
    await saveReferenceStatistics(clean, statistics, { ...gridExtractor, weightsHash: 'another' }, options());
    await expect(evaluatePaths(clean, statistics, gridExtractor, options())).rejects.toThrow(/cannot be compared/);
  });

  it('reads greyscale images, transparency and the settings that a picture carries', async () => {
    const folder = join(root, 'kinds');
    await mkdir(folder);
    const grey = sharp(Buffer.alloc(16, 100), { raw: { width: 4, height: 4, channels: 1 } });
    await grey.png().toFile(join(folder, 'grey.png'));
    const transparent = Buffer.from(Array.from({ length: 64 }, (_, i) => (i % 4 === 3 ? 0 : 200)));
    await sharp(transparent, { raw: { width: 4, height: 4, channels: 4 } })
      .png()
      .toFile(join(folder, 'transparent.png'));
    const source = await openSampleFolder(folder);
    for await (const { pixels } of source.batches(2)) {
      expect(Array.from(pixels.subarray(0, 48))).toEqual(new Array(48).fill(100));
      expect(Array.from(pixels.subarray(48))).toEqual(new Array(48).fill(0));
    }
  });
});
