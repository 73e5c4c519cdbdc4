import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from './decode.js';

/** Left half red, right half blue; 6 by 4 pixels. */
const halves = () => {
  const data = Buffer.alloc(6 * 4 * 3);
  for (let i = 0; i < 24; i++) data[i * 3 + (i % 6 < 3 ? 0 : 2)] = 255;
  return sharp(data, { raw: { width: 6, height: 4, channels: 3 } });
};
const pixel = ({ data, width }: { data: Uint8Array; width: number }, x: number, y: number) => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];

describe('decodeImage', () => {
  it.each([
    ['PNG', () => halves().png()],
    ['palette PNG', () => halves().png({ palette: true })],
    ['16-bit PNG', () => halves().toColourspace('rgb16').png()],
    ['lossless WebP', () => halves().webp({ lossless: true })],
    ['JPEG', () => halves().jpeg({ quality: 100, chromaSubsampling: '4:4:4' })],
    ['CMYK JPEG', () => halves().toColourspace('cmyk').jpeg({ quality: 100, chromaSubsampling: '4:4:4' })],
  ])('reads %s', async (_, make) => {
    const image = await decodeImage(await make().toBuffer());
    expect([image.width, image.height, image.data.length]).toEqual([6, 4, 72]);
    const [red, , blueOfRed] = pixel(image, 0, 1);
    const [redOfBlue, , blue] = pixel(image, 5, 1);
    expect(red - blueOfRed).toBeGreaterThan(100);
    expect(blue - redOfBlue).toBeGreaterThan(60);
  });

  it('turns greyscale into three equal channels, in 8 and 16 bits', async () => {
    const grey = sharp(Buffer.from([0, 100, 200, 255]), { raw: { width: 2, height: 2, channels: 1 } });
    for (const file of [grey.clone().png(), grey.clone().toColourspace('grey16').png()]) {
      const { data } = await decodeImage(await file.toBuffer());
      expect([...data]).toEqual([0, 0, 0, 100, 100, 100, 200, 200, 200, 255, 255, 255]);
    }
  });

  it('lays transparency on white', async () => {
    const clear = sharp({ create: { width: 2, height: 1, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0 } } });
    expect([...(await decodeImage(await clear.png().toBuffer())).data]).toEqual(new Array(6).fill(255));
  });

  it('applies EXIF rotation', async () => {
    const turned = await halves().withMetadata({ orientation: 6 }).png().toBuffer(); // a quarter turn clockwise
    const image = await decodeImage(turned);
    expect([image.width, image.height]).toEqual([4, 6]);
    expect(pixel(image, 1, 0)).toEqual([255, 0, 0]);
    expect(pixel(image, 1, 5)).toEqual([0, 0, 255]);
  });

  it('refuses damaged files', async () => {
    const whole = await halves().resize(200, 200).jpeg().toBuffer();
    await expect(decodeImage(whole.subarray(0, whole.length / 2))).rejects.toThrow(/^[^\n]+$/);
    await expect(decodeImage(Buffer.from('no image'))).rejects.toThrow();
  });
});
