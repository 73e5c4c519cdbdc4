import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createDataOrder } from './data-order.js';
import { decodeImage } from './decode-image.js';
import { openImageBatches } from './image-batches.js';
import { openImageFolder } from './image-folder.js';
import { imageGrid } from './image-grid.js';
import type { BadImage } from './image-source.js';
import { openLatentBatches } from './latent-batches.js';
import { openLatentCache, writeLatentCache } from './latent-cache.js';
import { openPhotographCrops } from './photograph-crops.js';
import type { Rectangle } from './read-sample.js';

const photographs = fileURLToPath(new URL('../../../../apps/train/demo/photos', import.meta.url));
const newFolder = () => mkdtempSync(join(tmpdir(), 'tb-data-'));

/** Left half red, right half blue; 6 by 4 pixels. */
const halves = () => {
  const data = Buffer.alloc(6 * 4 * 3);
  for (let i = 0; i < 24; i++) data[i * 3 + (i % 6 < 3 ? 0 : 2)] = 255;
  return sharp(data, { raw: { width: 6, height: 4, channels: 3 } });
};
const pixel = ({ data, width }: { data: Uint8Array; width: number }, x: number, y: number) => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];

describe('decodeImage', () => {
  it.each([
    ['PNG', () => halves().png()],
    ['palette PNG', () => halves().png({ palette: true })],
    ['16-bit PNG', () => halves().toColourspace('rgb16').png()],
    ['lossless WebP', () => halves().webp({ lossless: true })],
    ['JPEG', () => halves().jpeg({ quality: 100, chromaSubsampling: '4:4:4' })],
    ['CMYK JPEG', () => halves().toColourspace('cmyk').jpeg({ quality: 100, chromaSubsampling: '4:4:4' })],
  ])('reads %s', async (_, make) => {
    const picture = await decodeImage(await make().toBuffer());
    expect([picture.width, picture.height, picture.data.length]).toEqual([6, 4, 72]);
    const [red, , blueOfRed] = pixel(picture, 0, 1);
    const [redOfBlue, , blue] = pixel(picture, 5, 1);
    expect(red - blueOfRed).toBeGreaterThan(100);
    expect(blue - redOfBlue).toBeGreaterThan(60);
  });

  it('turns greyscale into three equal channels, in 8 and 16 bits', async () => {
    const grey = sharp(Buffer.from([0, 100, 200, 255]), { raw: { width: 2, height: 2, channels: 1 } });
    for (const file of [grey.clone().png(), grey.clone().toColourspace('grey16').png()]) {
      const { data } = await decodeImage(await file.toBuffer());
      expect([...data]).toEqual([0, 0, 0, 100, 100, 100, 200, 200, 200, 255, 255, 255]);
    }
  });

  it('lays transparency on white', async () => {
    const clear = sharp({ create: { width: 2, height: 1, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0 } } });
    expect([...(await decodeImage(await clear.png().toBuffer())).data]).toEqual(new Array(6).fill(255));
  });

  it('applies EXIF rotation', async () => {
    const turned = await halves().withMetadata({ orientation: 6 }).png().toBuffer(); // a quarter turn clockwise
    const picture = await decodeImage(turned);
    expect([picture.width, picture.height]).toEqual([4, 6]);
    expect(pixel(picture, 1, 0)).toEqual([255, 0, 0]);
    expect(pixel(picture, 1, 5)).toEqual([0, 0, 255]);
  });

  it('refuses damaged files', async () => {
    const whole = await halves().resize(200, 200).jpeg().toBuffer();
    await expect(decodeImage(whole.subarray(0, whole.length / 2))).rejects.toThrow();
    await expect(decodeImage(Buffer.from('no image'))).rejects.toThrow();
  });
});

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

  it('stops when too many files are unreadable', async () => {
    const batches = openImageBatches(await folderWith(5), options);
    const all = async () => {
      for (let i = 0; i < 4; i++) await batches.next();
    };
    await expect(all()).rejects.toThrow(/too many unreadable images \([45] of 13\)/);
    await batches.close();
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
    await halves().png().toFile(join(folder, 'small.png'));
    await expect(openPhotographCrops(folder, { ...common, part: 'training' })).rejects.toThrow(
      /must be at least 64 pixels/,
    );
  });
});

describe('the latent cache', () => {
  it('gives back what was stored, mirror images included, whatever the shards', async () => {
    const folder = newFolder();
    const info = { classNames: ['a', 'b'], imageSize: 16, latentScale: 1, vaeSha256: 'x' };
    const shape: [number, number, number] = [1, 2, 3];
    const samples = Array.from({ length: 5 }, (_, i) => ({
      moments: Float32Array.from({ length: 24 }, (_, k) => i + k / 32),
      label: i % 2,
    }));
    const stream = async function* () {
      yield* samples;
    };
    expect(await writeLatentCache(folder, { ...info, latentShape: shape }, stream(), 2)).toBe(5);
    const cache = await openLatentCache(folder);
    expect([cache.length, cache.shards.length]).toEqual([5, 3]);
    const batches = openLatentBatches(cache, { batchSize: 5, seed: 1, firstStep: 0, flip: true });
    const { moments, labels, indices } = await batches.next();
    for (const [row, index] of indices.entries()) {
      const stored = [...moments.subarray(row * 12, row * 12 + 12)];
      const { moments: both, label } = samples[index];
      expect([[...both.subarray(0, 12)], [...both.subarray(12)]]).toContainEqual(stored);
      expect(labels[row]).toBe(label);
    }
    await cache.close();
  });
});

describe('imageGrid', () => {
  it('places pictures row by row and writes captions', () => {
    const black = { width: 12, height: 2, data: new Uint8Array(72) };
    const grid = imageGrid([black, black, black], { columns: 2, zoom: 2 });
    expect([grid.width, grid.height]).toEqual([54, 14]);
    expect(pixel(grid, 2, 2)).toEqual([0, 0, 0]);
    expect(pixel(grid, 30, 10)).toEqual([255, 255, 255]);
    const dark = (captions?: string[]) =>
      imageGrid([black], { columns: 1, captions }).data.filter((v) => v === 0).length;
    expect(dark(['il'])).toBeGreaterThan(dark());
  });
});
