import sharp from 'sharp';
import type { Pixels } from './pixels.js';

/** File names that count as images, whatever their case. */
export const imageExtension = /\.(jpe?g|png|webp)$/i;

/**
 * Reads an image file as 8-bit RGB: greyscale and palettes are expanded, 16 bits reduced to 8, CMYK converted, EXIF
 * rotation applied, transparency laid on white. Embedded RGB colour profiles are ignored, as the reference does.
 *
 * @throws Error with one line of reason when the file cannot be read or is damaged
 */
export async function decodeImage(source: string | Uint8Array): Promise<Pixels> {
  const { data, info } = await decodeToRaw(source).catch((error: Error) => {
    throw new Error(error.message.split('\n')[0].replace(/:\s*$/, '')); // the decoder's warnings follow
  });
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (info.channels === 3) return { width: info.width, height: info.height, data: bytes };
  if (info.channels === 1) return { width: info.width, height: info.height, data: repeatChannel(bytes) };
  throw new Error(`decodeImage: image must have 1 or 3 channels after conversion, got ${info.channels}`);
}

async function decodeToRaw(source: string | Uint8Array) {
  const { space } = await sharp(source, { failOn: 'error' }).metadata();
  const ignoreIcc = space !== 'cmyk'; // CMYK has no meaning without its profile
  return sharp(source, { failOn: 'error', ignoreIcc, limitInputPixels: 2 ** 28 })
    .rotate()
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
}

function repeatChannel(grey: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(grey.length * 3);
  for (let i = 0; i < grey.length; i++) rgb.fill(grey[i], i * 3, i * 3 + 3);
  return rgb;
}

/**
 * Reads the size that `decodeImage` will give, from the file's header alone: EXIF orientation may exchange the sides.
 *
 * @throws Error when the file cannot be read or is not an image
 */
export async function imageSize(source: string | Uint8Array): Promise<{ width: number; height: number }> {
  const { autoOrient } = await sharp(source).metadata();
  return { width: autoOrient.width, height: autoOrient.height };
}
