// Image files, and the settings in them.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeImage, readImageHeader, readPngSettings, withPngSettings } from '@tb/images';
import { mutateBytes, mutateJson } from '../mutate.js';
import { bytesOf, resealPng } from '../reseal.js';
import type { TargetOpener } from '../target.js';

function filesOf(root: string, pattern: RegExp): Uint8Array[] {
  const folder = join(root, 'packages/images/fixtures/decode');
  const names = readdirSync(folder).filter((name) => pattern.test(name));
  return names.map((name) => bytesOf(join(folder, name)));
}

/** So many pixels decode in little memory; a header that claims more is refused before. */
const maxPixels = 2 ** 18;

function imageTarget(name: string, pattern: RegExp): TargetOpener {
  return {
    name,
    cost: 2,
    open: async (_, root) => ({
      seeds: filesOf(root, pattern),
      mutate(random, seed, others) {
        const end = random.uniform() < 0.6 ? Math.min(200, seed.length) : seed.length;
        const bytes = mutateBytes(random, seed, { end, others });
        return { bytes: pattern.test('.png') && random.uniform() < 0.7 ? resealPng(bytes) : bytes, isChecked: false };
      },
      async read(bytes) {
        const header = await readImageHeader(bytes, { maxPixels });
        const { width, height, data } = await decodeImage(bytes, { maxPixels });
        if (data.length !== width * height * 3)
          throw new TypeError(`${width} × ${height} pixels in ${data.length} bytes`);
        return [header, width, height];
      },
    }),
  };
}

const pngText: TargetOpener = {
  name: 'settings in PNG text',
  cost: 0.05,
  open: async (_, root) => {
    const png = filesOf(root, /^rgb\.png$/)[0]!;
    const settings = { cfg: 3.1, seed: '5', model: { path: 'runs/a', sha256: 'ab'.repeat(32) }, steps: [1, 2, 3] };
    const seeds = [withPngSettings(png, settings), withPngSettings(withPngSettings(png, {}), settings)];
    return {
      seeds: seeds.map((seed) => Uint8Array.from(seed)),
      mutate(random, seed) {
        const way = random.uniform();
        if (way < 0.2) return { bytes: mutateBytes(random, seed), isChecked: false };
        if (way < 0.6) return { bytes: resealPng(mutateBytes(random, seed, { end: 250 })), isChecked: false };
        const json = JSON.parse(
          Buffer.from(mutateJson(random, new TextEncoder().encode(JSON.stringify(settings)))).toString(),
        );
        return { bytes: withPngSettings(png, json), isChecked: false };
      },
      read: async (bytes) => readPngSettings(bytes) ?? null,
    };
  },
};

export const imageTargets: readonly TargetOpener[] = [
  imageTarget('PNG', /\.png$/),
  imageTarget('JPEG', /\.(jpg|jfif)$/),
  imageTarget('WebP', /\.webp$/),
  imageTarget('TIFF', /\.tiff?$/),
  imageTarget('GIF', /\.gif$/),
  pngText,
];
