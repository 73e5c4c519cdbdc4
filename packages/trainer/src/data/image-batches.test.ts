import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createDecodePool, DecodePoolError } from './decode-pool.js';
import { openImageBatches } from './image-batches.js';
import { type BadImage, openImageFolder } from './image-source.js';

describe('openImageBatches', () => {
  async function folderWith(bad: number) {
    const folder = mkdtempSync(join(tmpdir(), 'tb-data-'));
    for (const name of ['blue', 'red']) {
      mkdirSync(join(folder, name));
      for (let i = 0; i < 4; i++) {
        const image = sharp({ create: { width: 9 + i, height: 12, channels: 3, background: name } });
        await image.png().toFile(join(folder, name, `${i}.PNG`));
      }
    }
    for (let i = 0; i < bad; i++) writeFileSync(join(folder, 'red', `bad${i}.jpg`), 'no image');
    return openImageFolder(folder, { size: 8, seed: 1, flip: true });
  }
  const options = { batchSize: 5, seed: 2, firstStep: 0, threads: 2, badLimit: 0.05 };

  it('gives images with the labels of their folders, the same ones after a resume', async () => {
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

  it('skips an unreadable file, reports it once, and continues', async () => {
    const reported: BadImage[] = [];
    const batches = openImageBatches(await folderWith(1), { ...options, onBadImage: (bad) => reported.push(bad) });
    for (let i = 0; i < 4; i++) expect((await batches.next()).paths).not.toContain(reported[0]?.path);
    expect(reported).toHaveLength(1);
    expect(reported[0].path).toMatch(/red\/bad0\.jpg$/);
    await batches.close();
  });

  it('does not report images that were being read when it was closed', async () => {
    const reported: BadImage[] = [];
    const source = await folderWith(0);
    const batches = openImageBatches(source, { ...options, onBadImage: (bad) => reported.push(bad) });
    const begun = batches.next();
    await Promise.all([expect(begun).rejects.toThrow(DecodePoolError), batches.close()]);
    expect(reported).toEqual([]);
    await expect(batches.next()).rejects.toThrow(DecodePoolError);
  });

  it('skips an image of too many pixels as an unreadable one', async () => {
    const reported: BadImage[] = [];
    const { requestOf, ...source } = await folderWith(0);
    const limited = {
      ...source,
      requestOf: (i: number, epoch: number) => ({ ...requestOf(i, epoch), maxPixels: 11 * 12 }),
    };
    const batches = openImageBatches(limited, { ...options, onBadImage: (bad) => reported.push(bad) });
    await batches.next();
    await batches.next();
    expect(reported.map(({ path }) => path.split('/').slice(-2).join('/')).sort()).toEqual(['blue/3.PNG', 'red/3.PNG']);
    expect(reported[0].reason).toBe('it has 12 × 12 pixels, more than the limit of 132');
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

describe('createDecodePool', () => {
  it('refuses to read when it is closed', async () => {
    const pool = createDecodePool(1);
    await pool.close();
    await expect(pool.read({ path: 'x.png', size: 8, crop: 'centre', mirror: false })).rejects.toThrow(DecodePoolError);
  });
});
