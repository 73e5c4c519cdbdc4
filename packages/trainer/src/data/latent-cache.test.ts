import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, toFloat32, withContentHash, writeSafetensors } from '@tb/io';
import { describe, expect, it } from 'vitest';
import { writeManifest } from '../run-folder/manifest.js';
import { openLatentBatches, readHeldOutLatents } from './latent-batches.js';
import { cacheFormat, openLatentCache } from './latent-cache.js';
import { writeLatentCache } from './latent-cache-writer.js';
import type { CachePart } from './latent-shard.js';

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
      length: count,
      async *samplesFrom(first, end = count) {
        for (let place = first; place < end; place++) {
          if (place === failAt) throw new Error('stopped');
          asked.push(place);
          yield sampleAt(place);
        }
      },
    };
  };

  it('gives back what was stored, mirror images included, whatever the shards', async () => {
    const folder = newFolder();
    expect(await writeLatentCache(folder, info, { training: part(5) }, { samplesPerShard: 2 })).toEqual({
      training: 5,
      heldOut: 0,
    });
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

  it('is the same whatever processes write it, also after one of them was stopped', async () => {
    const [alone, together] = [newFolder(), newFolder()];
    await writeLatentCache(alone, info, { training: part(11), heldOut: part(3) }, { samplesPerShard: 2 });
    const parts = (failAt?: number) => ({ training: part(11, failAt), heldOut: part(3) });
    const write = (index: number, count: number, made = parts()) =>
      writeLatentCache(together, info, made, { samplesPerShard: 2, share: { index, count } });
    await expect(write(1, 2, parts(9))).rejects.toThrow('stopped'); // shards 3 to 5 are its share, 4 holds 8 and 9
    await expect(write(0, 2)).rejects.toThrow('2 shards of latents are missing');
    const again = parts();
    expect(await write(2, 3, again)).toBeUndefined();
    expect(again.training.asked).toEqual([8, 9, 10]);
    const damaged = join(together, 'latents-00001.safetensors');
    writeFileSync(damaged, readFileSync(damaged).subarray(0, -1));
    await expect(write(0, 6)).rejects.toThrow('1 shards of latents are missing');
    expect(await write(1, 6)).toBeUndefined();
    expect(await write(0, 6)).toEqual({ training: 11, heldOut: 3 });
    const [first, second] = [await openLatentCache(alone), await openLatentCache(together)];
    expect(second.shards).toEqual(first.shards);
    for (let place = 0; place < 11; place++)
      expect(await second.read(place, true)).toEqual(await first.read(place, true));
    await first.close();
    await second.close();
  });

  it('keeps held-out samples apart, in their order and not mirrored', async () => {
    const folder = newFolder();
    await writeLatentCache(folder, info, { training: part(3), heldOut: part(7) }, { samplesPerShard: 4 });
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

  it('continues where it was interrupted and makes nothing twice, unless the samples are others', async () => {
    const folder = newFolder();
    await expect(writeLatentCache(folder, info, { training: part(9, 5) }, { samplesPerShard: 2 })).rejects.toThrow(
      'stopped',
    );
    await expect(openLatentCache(folder)).rejects.toThrow(/manifest\.json cannot be read: it does not exist/);
    const rest = part(9);
    expect(await writeLatentCache(folder, info, { training: rest }, { samplesPerShard: 2 })).toMatchObject({
      training: 9,
    });
    expect(rest.asked).toEqual([5, 6, 7, 8]);
    const cache = await openLatentCache(folder);
    expect(Array.from({ length: 9 }, (_, index) => cache.labelOf(index))).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0]);
    expect((await cache.read(8, false))[0]).toBe(0x4800); // 8 as float16
    await cache.close();
    const other = part(3);
    expect(await writeLatentCache(folder, info, { training: other }, { samplesPerShard: 2 })).toMatchObject({
      training: 3,
    });
    expect(other.asked).toEqual([0, 1, 2]);
    expect(readdirSync(folder).filter((file) => file.startsWith('latents'))).toHaveLength(2);
  });

  describe('that was interrupted', () => {
    const interrupted = async () => {
      const folder = newFolder();
      const stopped = writeLatentCache(folder, info, { training: part(9, 6) }, { samplesPerShard: 2 });
      await expect(stopped).rejects.toThrow('stopped');
      return folder;
    };
    const shard = (folder: string, number: number) => join(folder, `latents-0000${number}.safetensors`);
    const flip = (path: string, place: number) => {
      const bytes = readFileSync(path);
      bytes[place < 0 ? bytes.length + place : place] ^= 4;
      writeFileSync(path, bytes);
    };
    /** Writes a shard with other metadata or tensors and the right checksum. */
    const rewrite = async (path: string, change: (content: Awaited<ReturnType<typeof readSafetensors>>) => void) => {
      const content = await readSafetensors(path);
      change(content);
      const { 'tokenbridge.sha256': _, ...metadata } = content.metadata;
      await writeSafetensors(path, content.tensors, { metadata: withContentHash(content.tensors, metadata) });
    };

    it.each<[string, (path: string) => unknown, RegExp]>([
      ['a changed number', (path) => flip(path, -30), /does not have the SHA-256 it was written with/],
      ['a changed label', (path) => flip(path, -1), /does not have the SHA-256|latents/],
      ['a changed header', (path) => flip(path, 60), /latents-00001\.safetensors/],
      ['an end that is missing', (path) => writeFileSync(path, readFileSync(path).subarray(0, -8)), /latents-00001/],
      ['nothing in it', (path) => writeFileSync(path, ''), /latents-00001/],
      [
        'no checksum',
        async (path) => {
          const {
            tensors,
            metadata: { 'tokenbridge.sha256': _, ...metadata },
          } = await readSafetensors(path);
          await writeSafetensors(path, tensors, { metadata });
        },
        /it has no checksum of its content/,
      ],
      [
        'an end before its beginning',
        (path) => rewrite(path, ({ metadata }) => Object.assign(metadata, { next: '1' })),
        /ends with image 1/,
      ],
      [
        'no end',
        (path) => rewrite(path, ({ metadata }) => Reflect.deleteProperty(metadata, 'next')),
        /ends with image NaN/,
      ],
      [
        'a label of no class',
        (path) => rewrite(path, ({ tensors }) => (tensors.labels.data as Int32Array).fill(2)),
        /labels must be from 0 to 1, got 2/,
      ],
      [
        'latents of another shape',
        (path) => rewrite(path, ({ tensors }) => tensors.moments.shape.reverse()),
        /moments must be F16 \[2, 2, 1, 2, 6\]/,
      ],
    ])('makes a shard again that has %s, with those after it', async (_, damage, reason) => {
      const folder = await interrupted();
      await damage(shard(folder, 1));
      const [rest, lines] = [part(9), [] as string[]];
      await writeLatentCache(
        folder,
        info,
        { training: rest },
        { samplesPerShard: 2, onReplaced: (line) => lines.push(line) },
      );
      expect(lines).toEqual([expect.stringMatching(reason)]);
      expect(lines[0]).toMatch(/: it is made again, with those after it$/);
      expect(rest.asked).toEqual([2, 3, 4, 5, 6, 7, 8]);
      const cache = await openLatentCache(folder);
      for (let place = 0; place < 9; place++) {
        expect(toFloat32({ dtype: 'F16', shape: [12], data: Uint16Array.from(await cache.read(place, true)) })).toEqual(
          sampleAt(place).moments.subarray(12),
        );
      }
      await cache.close();
    });

    it('names a folder that is in the way of a shard', async () => {
      const folder = await interrupted();
      rmSync(shard(folder, 1));
      mkdirSync(shard(folder, 1));
      const writing = writeLatentCache(folder, info, { training: part(9) }, { samplesPerShard: 2 });
      await expect(writing).rejects.toThrow(/latents-00001.* cannot be written: a folder has that name/);
    });

    it('reports shards of other images, which are made again', async () => {
      const folder = await interrupted();
      const lines: string[] = [];
      const options = { samplesPerShard: 2, onReplaced: (line: string) => lines.push(line) };
      await writeLatentCache(folder, info, { training: part(5) }, options);
      expect(lines).toEqual([
        expect.stringMatching(/latents-00000.* is of other images, settings or another autoencoder/),
      ]);
    });
  });

  describe('that is damaged, though its manifest is right', () => {
    const good = {
      ...info,
      shards: [
        { file: 'latents-00000.safetensors', samples: 2 },
        { file: 'latents-00001.safetensors', samples: 1 },
      ],
    };
    const openFiles = () => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0);

    it.each<[string, unknown, RegExp]>([
      ['null', null, /cache\.json: it must be an object, but is null/],
      ['a list', [], /cache\.json: it must be an object, but is a list/],
      ['no shards', { ...good, shards: undefined }, /cache\.json: shards must be a list, but is missing/],
      ['an empty list of shards', { ...good, shards: [] }, /shards must be at least one file/],
      [
        'a shard without a name, and a later one that is null',
        { ...good, shards: [{ file: '', samples: 1 }, null] },
        /shards\[1\] must be an object/,
      ],
      [
        'a shard with an empty name',
        { ...good, shards: [{ file: '', samples: 1 }, ...good.shards] },
        /cache\.json: +is not in the manifest/,
      ],
      [
        'a shard elsewhere',
        { ...good, shards: [{ file: '../other.safetensors', samples: 1 }] },
        /other\.safetensors is not in the manifest/,
      ],
      [
        'a number as a name',
        { ...good, shards: [{ file: 5, samples: 1 }] },
        /shards\[0\]\.file must be text, but is 5/,
      ],
      ['itself as a shard', { ...good, shards: [{ file: 'cache.json', samples: 1 }] }, /cache\.json/],
      [
        'too many samples',
        { ...good, shards: [good.shards[0], { ...good.shards[1], samples: 3 }] },
        /latents-00001.*: moments must be F16 \[3, 2, 1, 2, 6\], got/,
      ],
      ['no latent shape', { ...good, latentShape: [1, 2] }, /latentShape must be height, width and channels/],
      ['an endless latent shape', { ...good, latentShape: [1e300, 2, 3] }, /latentShape\[0\] must be a count/],
      ['one class less', { ...good, classNames: ['a'] }, /latents-00000.*: labels must be from 0 to 0, got 1/],
      [
        'null for the held-out shards of a cache',
        { ...good, heldOutShards: [null] },
        /heldOutShards\[0\] must be an object/,
      ],
      ['a scale of 0', { ...good, latentScale: 0 }, /latentScale must be a positive number/],
    ])('is refused in one sentence where cache.json holds %s, and no file is left open', async (_, index, message) => {
      const folder = newFolder();
      await writeLatentCache(folder, info, { training: part(3) }, { samplesPerShard: 2 });
      writeFileSync(join(folder, 'cache.json'), JSON.stringify(index));
      await writeManifest(folder, cacheFormat, ['cache.json', ...good.shards.map(({ file }) => file)]);
      const before = openFiles();
      await expect(openLatentCache(folder)).rejects.toThrow(message);
      await expect(openLatentCache(folder)).rejects.toThrow(
        /^the latent cache cannot be used: .*; make it with tb-train cache$/,
      );
      await new Promise((resolve) => setTimeout(resolve, 5)); // an unhandled rejection would fail the test
      expect(openFiles()).toBe(before);
    });

    it('is refused where a shard lacks a tensor, and no file is left open', async () => {
      const folder = newFolder();
      await writeLatentCache(folder, info, { training: part(3) }, { samplesPerShard: 2 });
      const path = join(folder, 'latents-00001.safetensors');
      const { tensors, metadata } = await readSafetensors(path);
      await writeSafetensors(path, { moments: tensors.moments }, { metadata });
      await writeManifest(folder, cacheFormat, ['cache.json', ...good.shards.map(({ file }) => file)]);
      const before = openFiles();
      await expect(openLatentCache(folder)).rejects.toThrow(/latents-00001.*: labels must be I32 \[1\], got none/);
      expect(openFiles()).toBe(before);
    });
  });
});
