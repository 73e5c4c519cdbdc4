import { mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withPngSettings } from '@tb/images';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSampleFolder } from './folder.js';

const raw = (channels: 1 | 3 | 4, values: number[]) => ({
  data: Buffer.from(Array.from({ length: 16 * channels }, (_, i) => values[i % channels])),
  options: { raw: { width: 4, height: 4, channels } },
});

function png(channels: 1 | 3 | 4, values: number[]): Promise<Buffer> {
  const { data, options } = raw(channels, values);
  return sharp(data, options).png().toBuffer();
}

describe('openSampleFolder', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'tb-samples-'));
  });
  afterAll(() => rm(root, { recursive: true }));

  async function folder(name: string, files: Record<string, Uint8Array | string>): Promise<string> {
    await mkdir(join(root, name));
    for (const [file, content] of Object.entries(files)) await writeFile(join(root, name, file), content);
    return join(root, name);
  }

  it('reads greyscale and 16-bit images as RGB bytes, and drops alpha', async () => {
    const { data, options } = raw(3, [10, 20, 30]);
    const path = await folder('kinds', {
      'a-grey.png': await png(1, [100]),
      'b-transparent.png': await png(4, [50, 60, 70, 0]),
      'c-sixteen-bits.png': await sharp(data, options).toColourspace('rgb16').png().toBuffer(),
    });
    const { value } = await (await openSampleFolder(path)).batches(3).next();
    expect(value).toMatchObject({ count: 3, width: 4, height: 4 });
    const pixels = [0, 1, 2].map((image) => [...value!.pixels.subarray(image * 48, image * 48 + 6)]);
    expect(pixels).toEqual([
      [100, 100, 100, 100, 100, 100],
      [50, 60, 70, 50, 60, 70],
      [10, 20, 30, 10, 20, 30],
    ]);
  });

  it('cuts batches where the size changes', async () => {
    const { data } = raw(3, [1, 2, 3]);
    const wide = await sharp(data, { raw: { width: 8, height: 2, channels: 3 } })
      .png()
      .toBuffer();
    const square = await png(3, [1, 2, 3]);
    const path = await folder('sizes', { '0.png': square, '1.png': square, '2.png': wide, '3.png': square });
    const shapes: number[][] = [];
    for await (const { count, height, width } of (await openSampleFolder(path)).batches(4)) {
      shapes.push([count, height, width]);
    }
    expect(shapes).toEqual([
      [2, 4, 4],
      [1, 2, 8],
      [1, 4, 4],
    ]);
  });

  it('reports the settings that all images share', async () => {
    const image = await png(3, [1, 2, 3]);
    const settings = { cfg: 3.1, model: { sha256: 'ab' } };
    const path = await folder('settings', {
      '0.png': withPngSettings(image, { ...settings, pictureSeed: '1' }),
      '1.png': withPngSettings(image, { ...settings, pictureSeed: '2' }),
    });
    expect((await openSampleFolder(path)).settings).toEqual(settings);
    expect((await openSampleFolder(await folder('silent', { '0.png': image }))).settings).toBeUndefined();
  });

  it('has another fingerprint when an image changes', async () => {
    const path = await folder('changing', { '0.png': await png(3, [1, 2, 3]) });
    const { fingerprint } = await openSampleFolder(path);
    expect((await openSampleFolder(path)).fingerprint).toBe(fingerprint);
    await utimes(join(path, '0.png'), 1, 1);
    expect((await openSampleFolder(path)).fingerprint).not.toBe(fingerprint);
  });

  it('refuses what would make a wrong number', async () => {
    const image = await png(3, [1, 2, 3]);
    const jpeg = await sharp(image).jpeg().toBuffer();
    const lossy = await folder('lossy', { '0.png': image, '1.JPG': jpeg, '2.jpg': jpeg });
    await expect(openSampleFolder(lossy)).rejects.toThrow(/2 images \(1\.JPG, …\) of a lossy kind.*--allow-lossy/);
    expect((await openSampleFolder(lossy, { allowLossy: true })).count).toBe(3);
    const bitmap = await folder('bitmap', { '0.png': image, '1.bmp': 'BM' });
    await expect(openSampleFolder(bitmap)).rejects.toThrow(/holds images of a kind that is not read \(\.bmp\)/);
    await expect(openSampleFolder(join(root, 'nowhere'))).rejects.toThrow(/nowhere cannot be read: it does not exist/);
    await expect(openSampleFolder(await folder('text', { 'a.txt': 'a' }))).rejects.toThrow(
      /text must hold images \(PNG, .*\), got 1 \.txt file$/,
    );
  });

  it('refuses what is not an image before anything is computed', async () => {
    const broken = await folder('broken', { '0.png': await png(3, [1, 2, 3]), '1.png': 'not an image' });
    await expect(openSampleFolder(broken)).rejects.toThrow(/1\.png cannot be read: its content is not that of a PNG/);
    const empty = await folder('empty', { '0.png': '' });
    await expect(openSampleFolder(empty)).rejects.toThrow(/0\.png cannot be read: its content is not that of a PNG/);
    const drawing = await folder('drawing', {
      '0.png': '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>',
    });
    await expect(openSampleFolder(drawing)).rejects.toThrow(/0\.png cannot be read/);
  });

  it('recognizes a lossy file by its content', async () => {
    const image = await png(3, [1, 2, 3]);
    const jpeg = await sharp(image).jpeg().toBuffer();
    const gif = await sharp(image).gif().toBuffer();
    const disguised = await folder('disguised', { '0.png': image, '1.png': jpeg, '2.tif': gif });
    await expect(openSampleFolder(disguised)).rejects.toThrow(/2 images \(1\.png, …\) of a lossy kind/);
    expect((await openSampleFolder(disguised, { allowLossy: true })).count).toBe(3);
  });

  it('skips hidden files, takes each file once, and states what it left out', async () => {
    const image = await png(3, [1, 2, 3]);
    const path = await folder('steps', { '._0.png': 'AppleDouble', '0.png': image, 'fid.json': '{}' });
    await mkdir(join(path, 'more.png', '.ipynb_checkpoints'), { recursive: true });
    await writeFile(join(path, 'more.png', '1.png'), image);
    await writeFile(join(path, 'more.png', '.ipynb_checkpoints', '1-checkpoint.png'), image);
    await symlink('more.png', join(path, 'latest'));
    await symlink('.', join(path, 'self'));
    await symlink('nothing', join(path, 'lost.png'));
    const { count, summary } = await openSampleFolder(path);
    expect(count).toBe(2);
    expect(summary).toBe(
      '2 images; left out: 1 .json file, 2 hidden files and folders, 1 link to nothing, 2 links to what was found before',
    );
  });

  it('ignores colour profiles', async () => {
    const fixture = (file: string) => new URL(`../../../images/fixtures/decode/${file}`, import.meta.url);
    const files = { 'a.png': await readFile(fixture('rgb.png')), 'b.png': await readFile(fixture('icc.png')) };
    const { value } = await (await openSampleFolder(await folder('profiles', files))).batches(2).next();
    expect(Buffer.compare(value!.pixels.subarray(0, 144), value!.pixels.subarray(144)) === 0).toBe(true);
  });

  it('refuses an image of too many pixels', async () => {
    const path = await folder('large', { '0.png': await png(3, [1, 2, 3]) });
    const source = await openSampleFolder(path, { maxPixels: 15 });
    await expect(source.batches(1).next()).rejects.toThrow(/0\.png cannot be read: it has 4 × 4 pixels/);
  });
});
