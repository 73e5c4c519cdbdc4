import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createDataOrder } from './data-order.js';
import { createDecodePool, DecodePoolError } from './decode-pool.js';
import { openImageBatches } from './image-batches.js';
import { openImageFolder } from './image-folder.js';
import type { BadImage } from './image-source.js';
import { openLatentBatches, readHeldOutLatents } from './latent-batches.js';
import { openLatentCache } from './latent-cache.js';
import { type CachePart, writeLatentCache } from './latent-cache-writer.js';
import { openPhotographCrops } from './photograph-crops.js';
import type { Rectangle } from './read-sample.js';

const photographs = fileURLToPath(new URL('../../../../apps/train/demo/photos', import.meta.url));
const newFolder = () => mkdtempSync(join(tmpdir(), 'tb-data-'));

describe('createDataOrder', () => {
  it('shows every sample once an epoch, in an order of its own, from any place', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 50 }), fc.integer({ min: 0, max: 1000 }), (length, seed) => {
        const order = createDataOrder(length, seed);
        const epochs = [0, 1, 2].map((epoch) => Array.from({ length }, (_, i) => order.at(epoch * length + i).index));
        for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([...epoch.keys()]);
        const place = length + (seed % length);
        expect(createDataOrder(length, seed).at(place)).toEqual({ index: epochs[1][place - length], epoch: 1 });
      }),
    );
  });
});

describe('openImageBatches', () => {
  async function folderWith(bad: number) {
    const folder = newFolder();
    for (const name of ['blue', 'red']) {
      mkdirSync(join(folder, name));
      for (let i = 0; i < 4; i++) {
        const picture = sharp({ create: { width: 9 + i, height: 12, channels: 3, background: name } });
        await picture.png().toFile(join(folder, name, `${i}.PNG`));
      }
    }
    for (let i = 0; i < bad; i++) writeFileSync(join(folder, 'red', `bad${i}.jpg`), 'no image');
    return openImageFolder(folder, { size: 8, seed: 1, flip: true });
  }
  const options = { batchSize: 5, seed: 2, firstStep: 0, threads: 2, badLimit: 0.05 };

  it('gives pictures with the labels of their folders, the same ones after a resume', async () => {
    const source = await folderWith(0);
    expect(source.classNames).toEqual(['blue', 'red']);
    const batches = openImageBatches(source, options);
    const [, , third] = [await batches.next(), await batches.next(), await batches.next()];
    for (const [row, label] of third.labels.entries()) {
      expect([...third.images.subarray(row * 192, row * 192 + 3)]).toEqual(label === 0 ? [0, 0, 255] : [255, 0, 0]);
    }
    const resumed = openImageBatches(source, { ...options, firstStep: 2 });
    expect(await resumed.next()).toEqual(third);
    await Promise.all([batches.close(), resumed.close()]);
  });

  it('skips an unreadable file, tells of it once, and goes on', async () => {
    const told: BadImage[] = [];
    const batches = openImageBatches(await folderWith(1), { ...options, onBadImage: (bad) => told.push(bad) });
    for (let i = 0; i < 4; i++) expect((await batches.next()).paths).not.toContain(told[0]?.path);
    expect(told).toHaveLength(1);
    expect(told[0].path).toMatch(/red\/bad0\.jpg$/);
    await batches.close();
  });

  it('says nothing of pictures that it had begun when it was closed', async () => {
    const told: BadImage[] = [];
    const source = await folderWith(0);
    const batches = openImageBatches(source, { ...options, onBadImage: (bad) => told.push(bad) });
    const begun = batches.next();
    await Promise.all([expect(begun).rejects.toThrow(DecodePoolError), batches.close()]);
    expect(told).toEqual([]);
    await expect(batches.next()).rejects.toThrow(DecodePoolError);
  });

  it('stops when too many files are unreadable', async () => {
    const batches = openImageBatches(await folderWith(5), options);
    const all = async () => {
      for (let i = 0; i < 4; i++) await batches.next();
    };
    await expect(all()).rejects.toThrow(/too many unreadable images \([45] of 13\)/);
    await batches.close();
  });
});

describe('createDecodePool', () => {
  it('refuses to read when it is closed', async () => {
    const pool = createDecodePool(1);
    await pool.close();
    await expect(pool.read({ path: 'x.png', size: 8, crop: 'centre', mirror: false })).rejects.toThrow(DecodePoolError);
  });
});

describe('openPhotographCrops', () => {
  const common = { size: 64, seed: 3, flip: true, cropsPerPhotograph: 50, scale: [0.25, 0.6] as const, heldOut: 0.25 };

  it('cuts training and validation crops from parts that do not touch', async () => {
    const training = await openPhotographCrops(photographs, { ...common, part: 'training' });
    const validation = await openPhotographCrops(photographs, { ...common, part: 'validation' });
    expect(training.classNames).toHaveLength(10);
    expect(training.length).toBe(500);
    for (let label = 0; label < 10; label++) {
      const crops = (source: typeof training) =>
        Array.from({ length: 50 }, (_, i) => source.requestOf(label + 10 * i, 1).crop as Rectangle);
      const end = (along: 'left' | 'top', rectangles: Rectangle[]) =>
        Math.max(...rectangles.map((r) => r[along] + r.side));
      const begin = (along: 'left' | 'top', rectangles: Rectangle[]) => Math.min(...rectangles.map((r) => r[along]));
      const [ours, theirs] = [crops(training), crops(validation)];
      const apart = (['left', 'top'] as const).some((along) => end(along, ours) <= begin(along, theirs));
      expect(apart, training.classNames[label]).toBe(true);
      for (const { side } of [...ours, ...theirs]) expect(side).toBeGreaterThanOrEqual(64);
    }
  });

  it('says when photographs are missing or too small', async () => {
    const folder = newFolder();
    await expect(openPhotographCrops(folder, { ...common, part: 'training' })).rejects.toThrow('must hold photographs');
    const small = sharp({ create: { width: 6, height: 4, channels: 3, background: 'red' } });
    await small.png().toFile(join(folder, 'small.png'));
    await expect(openPhotographCrops(folder, { ...common, part: 'training' })).rejects.toThrow(
      /must be at least 64 pixels/,
    );
  });
});

describe('the latent cache', () => {
  const shape: [number, number, number] = [1, 2, 3];
  const info = { classNames: ['a', 'b'], imageSize: 16, latentScale: 1, vaeSha256: 'x', latentShape: shape };
  const sampleAt = (place: number) => ({
    moments: Float32Array.from({ length: 24 }, (_, k) => place + k / 32),
    label: place % 2,
    place,
  });

  /** @param failAt - the place that cannot be made */
  const part = (count: number, failAt = count): CachePart & { asked: number[] } => {
    const asked: number[] = [];
    return {
      asked,
      origin: `${count} samples`,
      async *samplesFrom(first) {
        for (let place = first; place < count; place++) {
          if (place === failAt) throw new Error('stopped');
          asked.push(place);
          yield sampleAt(place);
        }
      },
    };
  };

  it('gives back what was stored, mirror images included, whatever the shards', async () => {
    const folder = newFolder();
    expect(await writeLatentCache(folder, info, { training: part(5) }, 2)).toEqual({ training: 5, heldOut: 0 });
    const cache = await openLatentCache(folder);
    expect([cache.length, cache.shards.length, cache.heldOut]).toEqual([5, 3, undefined]);
    const batches = openLatentBatches(cache, { batchSize: 5, seed: 1, firstStep: 0, flip: true });
    const { moments, labels, indices } = await batches.next();
    for (const [row, index] of indices.entries()) {
      const stored = [...moments.subarray(row * 12, row * 12 + 12)];
      const { moments: both, label } = sampleAt(index);
      expect([[...both.subarray(0, 12)], [...both.subarray(12)]]).toContainEqual(stored);
      expect(labels[row]).toBe(label);
    }
    await cache.close();
  });

  it('keeps held-out samples apart, in their order and not mirrored', async () => {
    const folder = newFolder();
    await writeLatentCache(folder, info, { training: part(3), heldOut: part(7) }, 4);
    const cache = await openLatentCache(folder);
    expect([cache.length, cache.heldOut?.length]).toEqual([3, 7]);
    const read = await readHeldOutLatents(cache, 100, 3);
    expect(read.map(({ indices }) => indices)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect([...read[1].moments.subarray(12, 24)]).toEqual([...sampleAt(4).moments.subarray(0, 12)]);
    await cache.close();
    writeFileSync(join(folder, 'held-out-00001.safetensors'), 'damaged');
    await expect(openLatentCache(folder)).rejects.toThrow(/held-out-00001.safetensors does not have the SHA-256/);
  });

  it('goes on where it was interrupted, with nothing made twice, unless the samples are others', async () => {
    const folder = newFolder();
    await expect(writeLatentCache(folder, info, { training: part(9, 5) }, 2)).rejects.toThrow('stopped');
    await expect(openLatentCache(folder)).rejects.toThrow(/manifest.json is missing/);
    const rest = part(9);
    expect(await writeLatentCache(folder, info, { training: rest }, 2)).toMatchObject({ training: 9 });
    expect(rest.asked).toEqual([5, 6, 7, 8]);
    const cache = await openLatentCache(folder);
    expect(Array.from({ length: 9 }, (_, index) => cache.labelOf(index))).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0]);
    expect((await cache.read(8, false))[0]).toBe(0x4800); // 8 as float16
    await cache.close();
    const other = part(3);
    expect(await writeLatentCache(folder, info, { training: other }, 2)).toMatchObject({ training: 3 });
    expect(other.asked).toEqual([0, 1, 2]);
    expect(readdirSync(folder).filter((file) => file.startsWith('latents'))).toHaveLength(2);
  });
});
