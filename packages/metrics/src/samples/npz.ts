import { readFile } from 'node:fs/promises';
import { fileSha256, InputError, openNpz } from '@tb/io';
import type { SampleSource } from './sample-source.js';

/**
 * The samples of an ADM evaluation file: `arr_0`, uint8 [N, H, W, 3]. Only a batch at a time is in memory. Settings are
 * read from a JSON file of the same name next to it, if there is one.
 *
 * @throws FileFormatError or Error if the file is damaged or its array is something else
 */
export async function openSampleNpz(path: string): Promise<SampleSource> {
  const [count, height, width] = await imageShape(path);
  return {
    name: path,
    count,
    fingerprint: await fileSha256(path),
    settings: await readSettings(path.replace(/\.npz$/, '.json')),
    async *batches(size, from = 0) {
      const file = await openNpz(path);
      try {
        let position = 0;
        for await (const { data, shape } of file.batches('arr_0', size)) {
          const skipped = Math.min(Math.max(from - position, 0), shape[0]);
          position += shape[0];
          const pixels = (data as Uint8Array).subarray(skipped * height * width * 3);
          if (skipped < shape[0]) yield { pixels, count: shape[0] - skipped, height, width };
        }
      } finally {
        await file.close();
      }
    },
  };
}

async function imageShape(path: string): Promise<number[]> {
  const file = await openNpz(path);
  try {
    const { dtype, shape } = await file.describe('arr_0');
    if (dtype !== 'U8' || shape.length !== 4 || shape[3] !== 3) {
      throw new InputError(
        'openSampleNpz',
        `arr_0 of ${path} must be U8 [N, H, W, 3], got ${dtype} [${shape.join(', ')}]`,
      );
    }
    return shape;
  } finally {
    await file.close();
  }
}

async function readSettings(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    const settings: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof settings === 'object' && settings !== null ? { ...settings } : undefined;
  } catch {
    return undefined; // no such file, or not ours
  }
}
