import { fileURLToPath } from 'node:url';
import { goldenJson, goldenPath } from '@tb/test-utils';
import { describe, expect, it } from 'vitest';
import { centreCrop } from './centre-crop.js';
import { decodeImage } from './decode.js';

const photos = fileURLToPath(new URL('../../../apps/train/demo/photos', import.meta.url));
const { outputs } = goldenJson('crop', 'expected.json') as {
  outputs: { file: string; source: string; size: number; source_size: [number, number] }[];
};

describe('centreCrop', () => {
  for (const { file, source, size, source_size } of outputs) {
    it(`matches the reference on ${source} at ${size}`, async () => {
      const image = await decodeImage(`${photos}/${source}`);
      expect([image.width, image.height]).toEqual(source_size);
      const crop = centreCrop(image, size);
      const expected = await decodeImage(goldenPath('crop', file));
      const gaps = crop.data.map((value, i) => Math.abs(value - expected.data[i]));
      expect(gaps.reduce((most, gap) => Math.max(most, gap), 0)).toBeLessThanOrEqual(2);
      expect(gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length).toBeLessThanOrEqual(0.3);
    });
  }
});
