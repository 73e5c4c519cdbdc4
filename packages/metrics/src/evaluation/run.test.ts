import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, writeNpz } from '@tb/io';
import { hostRandom, useBackend } from '@tb/runtime';
import { goldenPath } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { gridExtractor } from '../../test/grid-extractor.js';
import { openSampleFolder } from '../samples/folder.js';
import type { FeatureExtractor } from './feature-extractor.js';
import { reportFileName, reportText } from './report-text.js';
import { evaluatePaths, type RunOptions, saveReferenceStatistics } from './run.js';

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
  const options = (): RunOptions => ({ batchSize: 8, resamples: 2, random: hostRandom(1).uniform });
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
    await writeFile(join(root, 'samples.json'), JSON.stringify({ cfg: 3.1, order: 'random', vae: { sha256: 'ab' } }));
    const second = await evaluatePaths(npz, statistics, gridExtractor, { ...options(), batchSize: 7 });
    expect(second.frechetDistance).toBeCloseTo(first.frechetDistance, 9);
    expect(second.inceptionScore?.mean).toBeCloseTo(first.inceptionScore!.mean, 9);
    expect(second.manifold).toEqual(first.manifold);
    expect(second.settings).toMatchObject({ cfg: 3.1, vae: { sha256: 'ab' } });
    expect(reportText(second)).toMatch(/settings +cfg 3\.1, order random\n/);
    expect([samples, npz, `${samples}/`].map(reportFileName)).toEqual(Array(3).fill('samples.fid.json'));
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

  it('resumes an interrupted run, with the same result', async () => {
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
    const resumed = await evaluatePaths(clean, `${clean}/`, gridExtractor, {
      ...options(),
      workFolder: work,
      onProgress: (what, done) => what === 'reference' && seen.push(done),
    });
    expect(seen[0]).toBe(40);
    const reference = { ...whole.reference, name: `${clean}/` };
    expect({ ...resumed, date: '' }).toEqual({ ...whole, reference, date: '' });
  });

  it('saves what it has when it is stopped, after any number of images', async () => {
    const work = join(root, 'stopped');
    const stop = new AbortController();
    const onProgress = (what: string, done: number) => {
      if (what === 'samples' && done >= 24) stop.abort(new Error('stopped'));
    };
    const run = { ...options(), workFolder: work, onProgress, signal: stop.signal };
    await expect(evaluatePaths(clean, clean, gridExtractor, run)).rejects.toThrow('stopped');
    const { metadata } = await readSafetensors(join(work, 'samples.safetensors'));
    expect(Number(metadata.count)).toBe(24);
    const saved = await readFile(join(work, 'samples.safetensors'));
    const other = { ...options(), workFolder: work, keep: 30 };
    await expect(evaluatePaths(clean, clean, gridExtractor, other)).rejects.toThrow(
      /features of 60 .* of 30 \(--keep\)/,
    );
    expect(await readFile(join(work, 'samples.safetensors'))).toEqual(saved);
  });

  it('refuses to resume the work of another evaluation, before it looks at an image', async () => {
    const work = join(root, 'other-work');
    const file = join(work, 'samples.safetensors');
    const few = await writeCrops(join(root, 'few'), 20, 0);
    await evaluatePaths(few, clean, gridExtractor, { ...options(), workFolder: work });
    const onProgress = vi.fn();
    const run = { ...options(), workFolder: work, onProgress };
    const saved = await readFile(file);
    const refused = (network: FeatureExtractor = gridExtractor) =>
      expect(evaluatePaths(clean, clean, network, run)).rejects;
    await refused().toThrow(
      `${file} cannot be resumed: it is about 20 images of ${few}, this run about 60 images of ${clean}, which are ` +
        'others or have changed. Remove it to start again, or name another folder with --resume',
    );
    await refused({ ...gridExtractor, weightsHash: 'another' }).toThrow(/reference\.safetensors .*cannot be compared/);
    expect(await readFile(file)).toEqual(saved);
    await writeFile(file, 'something of my own');
    await refused().toThrow(/samples\.safetensors cannot be resumed: .*byte 0/);
    expect(await readFile(file, 'utf8')).toBe('something of my own');
    expect(onProgress).not.toHaveBeenCalled();
  });

  it('takes statistics from a reference batch of ADM, and precision and recall from its images', async () => {
    const source = await openSampleFolder(clean);
    const { value } = await source.batches(60).next();
    const pixels = Uint8Array.from(value!.pixels.subarray(0, 20 * 32 * 32 * 3));
    const file = join(root, 'reference-batch.npz');
    await writeNpz(file, {
      arr_0: { dtype: 'U8', shape: [20, 32, 32, 3], data: pixels },
      mu: { dtype: 'F64', shape: [48], data: new Float64Array(48) },
      sigma: { dtype: 'F64', shape: [48, 48], data: new Float64Array(48 * 48) },
    });
    const report = await evaluatePaths(clean, file, gridExtractor, options());
    expect(report.frechetDistance).toBeGreaterThan(5); // from a Gaussian at the origin without extent
    expect(report.manifold).toMatchObject({ recall: 1, samples: 60, references: 20 });
  });

  it('gives images a hash of their pixels, whatever files they come from', async () => {
    const renamed = join(root, 'renamed');
    await mkdir(renamed);
    for (const name of await readdir(clean))
      await sharp(join(clean, name))
        .tiff({ compression: 'lzw' })
        .toFile(join(renamed, `${name}.tif`));
    const report = await evaluatePaths(clean, renamed, gridExtractor, { ...options(), batchSize: 7 });
    expect(report.samples.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(report.reference.hash).toBe(report.samples.hash);
  });

  it('refuses what it cannot compare in one sentence, before a network is loaded', async () => {
    const load = vi.fn(async () => gridExtractor);
    const refused = (samples: string, reference: string, more: Partial<RunOptions> = {}) =>
      expect(evaluatePaths(samples, reference, load, { ...options(), ...more })).rejects;
    await refused(join(root, 'nowhere'), clean).toThrow(/nowhere does not exist/);
    await refused(clean, join(root, 'nowhere.npz')).toThrow(/the reference .*nowhere\.npz does not exist/);
    await writeFile(join(root, 'text.npz'), 'no archive');
    await refused(clean, join(root, 'text.npz')).toThrow(/text\.npz: .*not a zip file/);
    await writeNpz(join(root, 'half.npz'), { mu: { dtype: 'F64', shape: [48], data: new Float64Array(48) } });
    await refused(clean, join(root, 'half.npz')).toThrow(
      /must hold statistics \(mu, sigma\) or images \(arr_0\), got mu/,
    );
    const single = await writeCrops(join(root, 'single'), 1, 0);
    await refused(single, clean).toThrow(/single holds one image; a covariance needs at least 2/);
    await refused(clean, single).toThrow(/single holds one image/);
    await refused(clean, clean, { resamples: 1 }).toThrow(/resamples must be 0 or at least 2, got 1/);
    const target = join(root, 'statistics.npz');
    await expect(saveReferenceStatistics(clean, target, load, {})).rejects.toThrow(/must end with \.safetensors/);
    expect(load).not.toHaveBeenCalled();
  });

  it('refuses statistics of other features, and such as are none, before it looks at a sample', async () => {
    const onProgress = vi.fn();
    const refused = (reference: string) =>
      expect(evaluatePaths(clean, reference, gridExtractor, { ...options(), onProgress })).rejects;
    const statistics = join(root, 'other.safetensors');
    await saveReferenceStatistics(clean, statistics, { ...gridExtractor, weightsHash: 'another' }, options());
    await refused(statistics).toThrow(/cannot be compared/);
    const write = async (name: string, size: number, sigma: number[]) => {
      const data = { mu: new Float64Array(size), sigma: Float64Array.from(sigma) };
      await writeNpz(join(root, name), {
        mu: { dtype: 'F64', shape: [size], data: data.mu },
        sigma: { dtype: 'F64', shape: [size, size], data: data.sigma },
      });
      return join(root, name);
    };
    const blank = () => new Array<number>(48 * 48).fill(0);
    await refused(await write('small.npz', 2, [1, 0, 0, 1])).toThrow(/mu \[48\] .*got \[2\] and \[2, 2\]/);
    await refused(await write('nan.npz', 48, blank().with(7, Number.NaN))).toThrow(/sigma of .*not finite/);
    await refused(await write('negative.npz', 48, blank().with(49, -1))).toThrow(/negative variance of dimension 1/);
    expect(onProgress).not.toHaveBeenCalled();
  });
});
