import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openLatentBatches, readHeldOutLatents } from './latent-batches.js';
import { openLatentCache } from './latent-cache.js';
import { type CachePart, writeLatentCache } from './latent-cache-writer.js';

const newFolder = () => mkdtempSync(join(tmpdir(), 'tb-data-'));

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
    await expect(openLatentCache(folder)).rejects.toThrow(/manifest\.json cannot be read: it does not exist/);
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
