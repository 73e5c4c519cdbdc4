import { randomKey, useBackend } from '@tb/runtime';
import { type CacheSample, type DecodePool, DecodePoolError, type ImageSource, type LoadedVae } from '@tb/trainer';
import { initVae, vaePresets } from '@tb/vae';
import { expect, it, vi } from 'vitest';
import { encodeImages } from './encode-images.js';

const source = {
  size: 8,
  length: 4,
  classNames: ['all'],
  labelOf: () => 0,
  requestOf: (place: number) => ({ path: `${place}\n.png`, size: 8, crop: 'centre', mirror: false }),
} as unknown as ImageSource;
const vae = { params: {}, config: vaePresets.demo, sha256: '' } as unknown as LoadedVae;

it('stops in the middle with the reason of the signal, after what is encoded, and reads no further', async () => {
  await useBackend('cpu');
  const config = { ...vaePresets.demo, channels: 4, channelMultipliers: [1, 2], latentChannels: 2, normGroups: 2 };
  const vae = { params: initVae(randomKey(1), config), config, sha256: '' } as unknown as LoadedVae;
  const images = { ...source, length: 40, labelOf: (place: number) => place % 3 };
  const abort = new AbortController();
  const reads: string[] = [];
  const read: DecodePool['read'] = async ({ path, mirror }) => {
    expect(mirror).toBe(false);
    reads.push(path);
    return new Uint8Array(8 * 8 * 3).fill(Number.parseInt(path, 10));
  };
  const options = { pool: { read, close: async () => {} }, batch: 2, threads: 2, badLimit: 1, signal: abort.signal };
  const seen: CacheSample[] = [];
  const encode = async () => {
    for await (const sample of encodeImages(images, vae, options, 4)) {
      seen.push(sample);
      if (seen.length === 6) abort.abort(new Error('stopped'));
    }
  };
  await expect(encode()).rejects.toThrow('stopped');
  expect(seen.length).toBeGreaterThanOrEqual(6);
  expect(seen.map(({ place, label }) => [place, label])).toEqual(seen.map((_, i) => [4 + i, (4 + i) % 3]));
  expect(new Set(seen.map(({ moments }) => moments.length))).toEqual(new Set([2 * 4 * 4 * 4]));
  expect(reads.length).toBeLessThan(20);
});

const encodeWith = async (read: DecodePool['read']) => {
  const options = {
    pool: { read, close: async () => {} },
    batch: 1,
    threads: 1,
    badLimit: 1,
    signal: new AbortController().signal,
  };
  for await (const sample of encodeImages(source, vae, options, 0)) expect(sample).toBeUndefined();
};

it('skips unreadable images, but ends with a dead decoding thread', async () => {
  const dead = new DecodePoolError('a decoding thread ended with code 1');
  await expect(encodeWith(() => Promise.reject(dead))).rejects.toBe(dead);
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  await encodeWith(() => Promise.reject(new Error('no image'))); // four of four, as the limit allows
  expect(written).toHaveBeenCalledWith('skipped unreadable image 1: 0\\n.png: no image\n'); // one line, whatever its name
  written.mockRestore();
});
