import { type DecodePool, DecodePoolError, type ImageSource, type LoadedVae } from '@tb/trainer';
import { vaePresets } from '@tb/vae';
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

const encodeWith = async (read: DecodePool['read']) => {
  const options = {
    pool: { read, close: async () => {} },
    batch: 1,
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
