import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from './decode.js';
import { encodePng, readPngSettings, withPngSettings } from './png.js';

const image = { width: 3, height: 2, data: Uint8Array.from({ length: 18 }, (_, i) => i * 14) };

/** A PNG with one text chunk of this content after its header. */
async function withText(content: string): Promise<Buffer> {
  const png = Buffer.from(await encodePng(image));
  const body = Buffer.from(`tEXt${content}`, 'latin1');
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length - 4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([png.subarray(0, 33), length, body, checksum, png.subarray(33)]);
}

describe('encodePng', () => {
  it('keeps every byte', async () => {
    expect(await decodeImage(await encodePng(image))).toEqual(image);
  });

  it('gives the same file every time', async () => {
    expect(Buffer.from(await encodePng(image)).equals(await encodePng(image))).toBe(true);
  });
});

describe('settings of a PNG', () => {
  const settings = { cfg: 3.1, name: 'ängström \u{1f600} "quoted"\n', model: { sha256: 'ab' } };

  it('come back as they were, and leave the image as it was', async () => {
    const png = withPngSettings(await encodePng(image), settings);
    expect(readPngSettings(png)).toEqual(settings);
    expect(await decodeImage(png)).toEqual(image);
    const [{ keyword, text }] = (await sharp(png).metadata()).comments!;
    expect([keyword, JSON.parse(text)]).toEqual(['tokenbridge', settings]);
  });

  it('are not found in a file that is cut short or damaged, or is not a PNG', async () => {
    const png = withPngSettings(await encodePng(image), settings);
    for (let length = 0; length < png.length; length++)
      expect(readPngSettings(png.subarray(0, length))).toBeUndefined();
    for (const at of [0, 20, 60, png.length - 6]) {
      const damaged = Uint8Array.from(png);
      damaged[at] ^= 1;
      expect(readPngSettings(damaged), `byte ${at}`).toBeUndefined();
    }
    expect(readPngSettings(await encodePng(image))).toBeUndefined();
  });

  it.each([
    ['other programs', 'Software\0x'],
    ['no JSON', 'tokenbridge\0{'],
    ['no text', 'tokenbridge'],
    ['no record', 'tokenbridge\0[1]'],
    ['null', 'tokenbridge\0null'],
    ['nested lists', `tokenbridge\0{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
    ['nested records', `tokenbridge\0${'{"a":'.repeat(9)}1${'}'.repeat(9)}`],
    ['a long text', `tokenbridge\0{"a":"${'x'.repeat(2 ** 16)}"}`],
  ])('ignore text of %s', async (_, content) => {
    expect(readPngSettings(await withText(content))).toBeUndefined();
  });

  it('are those of the first text chunk that has some', async () => {
    const png = withPngSettings(withPngSettings(await encodePng(image), { a: 1 }), { a: 2 });
    expect(readPngSettings(png)).toEqual({ a: 2 });
  });
});
