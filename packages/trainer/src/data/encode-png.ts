import sharp from 'sharp';
import type { Pixels } from './pixels.js';

/** The picture as a PNG file. */
export async function encodePng({ width, height, data }: Pixels): Promise<Uint8Array> {
  return new Uint8Array(
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer(),
  );
}
