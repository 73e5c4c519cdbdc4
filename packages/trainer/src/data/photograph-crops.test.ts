import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Square } from './image-source.js';
import { openPhotographCrops } from './photograph-crops.js';

const photographs = fileURLToPath(new URL('../../../../apps/train/demo/photos', import.meta.url));

describe('openPhotographCrops', () => {
  const common = { size: 64, seed: 3, flip: true, cropsPerPhotograph: 50, scale: [0.25, 0.6] as const, heldOut: 0.25 };

  it('cuts training and validation crops from parts that do not touch', async () => {
    const training = await openPhotographCrops(photographs, { ...common, part: 'training' });
    const validation = await openPhotographCrops(photographs, { ...common, part: 'validation' });
    expect(training.classNames).toHaveLength(10);
    expect(training.length).toBe(500);
    for (let label = 0; label < 10; label++) {
      const crops = (source: typeof training) =>
        Array.from({ length: 50 }, (_, i) => source.requestOf(label + 10 * i, 1).crop as Square);
      const end = (along: 'left' | 'top', rectangles: Square[]) =>
        Math.max(...rectangles.map((r) => r[along] + r.side));
      const begin = (along: 'left' | 'top', rectangles: Square[]) => Math.min(...rectangles.map((r) => r[along]));
      const [ours, theirs] = [crops(training), crops(validation)];
      const apart = (['left', 'top'] as const).some((along) => end(along, ours) <= begin(along, theirs));
      expect(apart, training.classNames[label]).toBe(true);
      for (const { side } of [...ours, ...theirs]) expect(side).toBeGreaterThanOrEqual(64);
    }
  });

  it('refuses a folder without photographs, and one that is too small', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tb-data-'));
    await expect(openPhotographCrops(folder, { ...common, part: 'training' })).rejects.toThrow('must hold images');
    const small = sharp({ create: { width: 6, height: 4, channels: 3, background: 'red' } });
    await small.png().toFile(join(folder, 'small.png'));
    await expect(openPhotographCrops(folder, { ...common, part: 'training' })).rejects.toThrow(
      /must be at least 64 pixels/,
    );
  });

  it('refuses two photographs that would be classes of one name', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tb-data-'));
    const large = sharp({ create: { width: 400, height: 300, channels: 3, background: 'red' } });
    for (const name of ['b.png', 'a.jpg', 'a.png']) await large.clone().toFile(join(folder, name));
    await expect(openPhotographCrops(folder, { ...common, part: 'training' })).rejects.toThrow(
      /has two photographs of one name, a\.jpg and a\.png: rename one of them/,
    );
  });

  it('counts what it leaves out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tb-data-'));
    await sharp({ create: { width: 400, height: 300, channels: 3, background: 'red' } }).toFile(join(folder, 'a.tif'));
    for (const name of ['._a.tif', 'b.bmp', 'LICENSES.md']) writeFileSync(join(folder, name), '');
    const { classNames, summary } = await openPhotographCrops(folder, { ...common, part: 'training' });
    expect(classNames).toEqual(['a']);
    expect(summary).toBe('1 image; left out: 1 .bmp file, 1 .md file, 1 hidden file or folder');
  });
});
