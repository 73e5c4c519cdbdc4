import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
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

/** The PNG with a text chunk behind its header, as tb-sample writes it. */
function withSettings(file: Buffer, settings: object): Buffer {
  const body = Buffer.from(`tEXttokenbridge\0${JSON.stringify(settings)}`);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length - 4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([file.subarray(0, 33), length, body, checksum, file.subarray(33)]);
}

describe('openSampleFolder', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'tb-samples-'));
  });
  afterAll(() => rm(root, { recursive: true }));

  async function folder(name: string, files: Record<string, Buffer | string>): Promise<string> {
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

  it('reports the settings that all pictures share', async () => {
    const picture = await png(3, [1, 2, 3]);
    const settings = { cfg: 3.1, model: { sha256: 'ab' } };
    const path = await folder('settings', {
      '0.png': withSettings(picture, { ...settings, pictureSeed: '1' }),
      '1.png': withSettings(picture, { ...settings, pictureSeed: '2' }),
    });
    expect((await openSampleFolder(path)).settings).toEqual(settings);
    expect((await openSampleFolder(await folder('silent', { '0.png': picture }))).settings).toBeUndefined();
  });

  it('has another fingerprint when an image changes', async () => {
    const path = await folder('changing', { '0.png': await png(3, [1, 2, 3]) });
    const { fingerprint } = await openSampleFolder(path);
    expect((await openSampleFolder(path)).fingerprint).toBe(fingerprint);
    await utimes(join(path, '0.png'), 1, 1);
    expect((await openSampleFolder(path)).fingerprint).not.toBe(fingerprint);
  });

  it('refuses what would make a wrong number', async () => {
    const picture = await png(3, [1, 2, 3]);
    const jpeg = await sharp(picture).jpeg().toBuffer();
    const lossy = await folder('lossy', { '0.png': picture, '1.JPG': jpeg, '2.jpg': jpeg });
    await expect(openSampleFolder(lossy)).rejects.toThrow(/2 images \(1\.JPG, …\) of a lossy kind.*--allow-lossy/);
    expect((await openSampleFolder(lossy, { allowLossy: true })).count).toBe(3);
    const bitmap = await folder('bitmap', { '0.png': picture, '1.bmp': 'BM' });
    await expect(openSampleFolder(bitmap)).rejects.toThrow(/an image \(1\.bmp\) of a kind that is not read/);
    await expect(openSampleFolder(join(root, 'nowhere'))).rejects.toThrow(/nowhere does not exist/);
    await expect(openSampleFolder(await folder('text', { 'a.txt': 'a' }))).rejects.toThrow(/text holds no images/);
    const broken = await openSampleFolder(await folder('broken', { '0.png': 'no picture' }));
    await expect(broken.batches(1).next()).rejects.toThrow(/0\.png cannot be decoded/);
  });
});
