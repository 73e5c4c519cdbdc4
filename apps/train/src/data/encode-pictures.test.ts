import { type DecodePool, DecodePoolError, type ImageSource, type LoadedVae } from '@tb/trainer';
import { vaePresets } from '@tb/vae';
import { expect, it, vi } from 'vitest';
import { encodePictures } from './encode-pictures.js';

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
  for await (const sample of encodePictures(source, vae, options, 0)) expect(sample).toBeUndefined();
};

it('takes a dead decoding thread for no fault of the pictures, which alone are skipped', async () => {
  const dead = new DecodePoolError('a decoding thread ended with code 1');
  await expect(encodeWith(() => Promise.reject(dead))).rejects.toBe(dead);
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  await encodeWith(() => Promise.reject(new Error('no picture'))); // four of four, as the limit allows
  expect(written).toHaveBeenCalledWith('skipped unreadable image 1: 0\\n.png: no picture\n'); // one line, whatever its name
  written.mockRestore();
});
