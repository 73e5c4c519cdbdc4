import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage, ImageError, readImageFormat, readImageHeader } from './decode.js';

const fixture = (path: string) => fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
const expected: Record<string, { width: number; height: number; rgb: string }> = JSON.parse(
  readFileSync(fixture('expected.json'), 'utf8'),
);

/** Left half red, right half blue; 6 by 4 pixels. */
const halves = () => {
  const data = Buffer.alloc(6 * 4 * 3);
  for (let i = 0; i < 24; i++) data[i * 3 + (i % 6 < 3 ? 0 : 2)] = 255;
  return sharp(data, { raw: { width: 6, height: 4, channels: 3 } });
};

describe('decodeImage', () => {
  it('has an expectation for every fixture', () => {
    expect(Object.keys(expected).sort()).toEqual(readdirSync(fixture('decode')).sort());
  });

  it.each(Object.entries(expected))('gives the bytes of Pillow for %s', async (file, { width, height, rgb }) => {
    for (const source of [fixture(`decode/${file}`), readFileSync(fixture(`decode/${file}`))]) {
      const image = await decodeImage(source);
      expect([image.width, image.height]).toEqual([width, height]);
      expect(Buffer.from(image.data).toString('hex')).toBe(rgb);
    }
  });

  it('reads AVIF', async () => {
    const { width, height, data } = await decodeImage(await halves().resize(60, 40).avif({ quality: 90 }).toBuffer());
    expect([width, height]).toEqual([60, 40]);
    expect(data[0] - data[2]).toBeGreaterThan(200);
    expect(data[59 * 3 + 2] - data[59 * 3]).toBeGreaterThan(200);
  });

  it('shows black where a GIF is transparent', async () => {
    const { data } = await decodeImage(fixture('transparent.gif'));
    expect(Array.from({ length: 48 }, (_, i) => [...data.subarray(i * 3, i * 3 + 3)])).toContainEqual([0, 0, 0]);
  });

  it('refuses a side that is too long, whatever the number of pixels', async () => {
    const row = (width: number) =>
      sharp({ create: { width, height: 1, channels: 3, background: 'red' } })
        .png()
        .toBuffer();
    expect((await decodeImage(await row(65_536))).width).toBe(65_536);
    await expect(decodeImage(await row(65_537))).rejects.toThrow(
      'it has 65537 × 1 pixels, and a side may have at most 65536',
    );
  });

  it.each(readdirSync(fixture('refused')))('refuses %s in one sentence', async (file) => {
    for (const source of [fixture(`refused/${file}`), readFileSync(fixture(`refused/${file}`))]) {
      await expect(decodeImage(source)).rejects.toThrow(/^decodeImage: image (\S+ )?cannot be read: [^\n]{10,120}$/);
    }
  });

  it.each([
    ['pixel-bomb.webp', 'it has 16383 × 16383 pixels, more than the limit of 67 million'],
    ['pixel-bomb.png', 'it has 16000 × 16000 pixels, more than the limit of 67 million'],
    ['pixel-bomb.jpg', 'it has 16000 × 16000 pixels, more than the limit of 67 million'],
    ['svg-named.png', 'its content is not that of a PNG, JPEG, WebP, TIFF, GIF or AVIF file'],
    ['bitmap.bmp', 'its content is not that of a PNG'],
    ['empty.png', 'its content is not that of a PNG'],
  ])('states what is wrong with %s', async (file, reason) => {
    await expect(decodeImage(fixture(`refused/${file}`))).rejects.toMatchObject({
      reason: expect.stringContaining(reason),
    });
  });

  it('decodes as many pixels as it is allowed', async () => {
    const rgb = fixture('decode/rgb.png');
    expect((await decodeImage(rgb, { maxPixels: 48 })).width).toBe(8);
    await expect(decodeImage(rgb, { maxPixels: 47 })).rejects.toThrow('it has 8 × 6 pixels');
  });

  it('takes no memory for a small file that promises 268 million pixels', async () => {
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 20; i++) await decodeImage(fixture('refused/pixel-bomb.webp')).catch(() => {});
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 2 ** 20);
  });

  it.skipIf(process.platform === 'win32')('states why a path cannot be read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tb-images-'));
    await expect(decodeImage(join(folder, 'none.png'))).rejects.toThrow(/none\.png cannot be read: it does not exist$/);
    await expect(decodeImage(folder)).rejects.toThrow(/a folder has that name$/);
    execFileSync('mkfifo', [join(folder, 'pipe.png')]);
    await expect(decodeImage(join(folder, 'pipe.png'))).rejects.toThrow();
  });
});

describe('readImageHeader', () => {
  it('gives the size after EXIF rotation, and the format of the content', async () => {
    expect(await readImageHeader(fixture('decode/turned.jpg'))).toMatchObject({ width: 6, height: 8, format: 'jpeg' });
    expect(await readImageHeader(fixture('decode/jpeg-named.png'))).toMatchObject({ format: 'jpeg' });
    expect(await readImageHeader(fixture('decode/ycck.jpg'))).toMatchObject({ isCmyk: true });
  });
});

describe('readImageFormat', () => {
  it('goes by the content', async () => {
    expect(await readImageFormat(fixture('decode/png-named.jpg'))).toBe('png');
    expect(await readImageFormat(fixture('decode/lzw.tiff'))).toBe('tiff');
    await expect(readImageFormat(fixture('refused/svg-named.png'))).rejects.toThrow(ImageError);
    await expect(readImageFormat(fixture('refused/empty.png'))).rejects.toThrow(ImageError);
  });
});
