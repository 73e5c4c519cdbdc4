import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { fileSystemReason, InputError, printable } from '@tb/io';
import sharp from 'sharp';
import { formatNames, formatOfContent, type ImageFormat, signatureLength } from './formats.js';
import type { Pixels } from './pixels.js';

/** Images with more pixels are not decoded unless a caller allows more. The largest cameras have about as many. */
export const defaultMaxPixels = 2 ** 26;

/** Longest side in pixels. Several rows are decoded at once, so a longer one would take more memory than the image. */
const longestSide = 2 ** 16;

/** Options of `decodeImage`. */
export type DecodeOptions = {
  /** Most pixels that an image may have; a larger one is refused before it is decoded (default 2²⁶, about 67 million). */
  maxPixels?: number;
};

/** What an image file states about itself before it is decoded. */
export type ImageHeader = {
  /** Shown by the content, which may differ from what the name promises. */
  format: ImageFormat;
  /** Size after decoding: EXIF orientation may exchange the sides. */
  width: number;
  height: number;
  isCmyk: boolean;
};

/** An image that cannot be read. The message names the file, if it came from one. */
export class ImageError extends InputError {
  /** @param reason - why, for the middle of another sentence */
  constructor(
    where: string,
    source: string | Uint8Array,
    readonly reason: string,
  ) {
    super(where, `image ${typeof source === 'string' ? `${printable(source)} ` : ''}cannot be read: ${reason}`);
  }
}

/**
 * Decodes an image file to 8-bit RGB, with the same bytes as Pillow's `Image.open(file).convert('RGB')`:
 *
 * - greyscale is repeated, palettes are looked up, and of an animation the first frame is taken;
 * - an alpha channel is dropped, not blended with a background;
 * - colour profiles are ignored; CMYK is converted by Pillow's formula;
 * - of 16-bit values the high byte is kept (Pillow does so too, except for greyscale, where it clips at 255).
 *
 * Beyond Pillow, EXIF orientation is applied.
 *
 * @param source - path or bytes
 * @throws ImageError if the file cannot be read, is damaged, has too many pixels, or a side of more than 65,536
 */
export function decodeImage(source: string | Uint8Array, options: DecodeOptions = {}): Promise<Pixels> {
  return withSource('decodeImage', source, async () => {
    const { isCmyk } = await readHeader(source, options);
    const image = sharp(source, { failOn: 'error', ignoreIcc: true, limitInputPixels: false }).autoOrient();
    const converted = isCmyk
      ? image.pipelineColourspace('cmyk').toColourspace('cmyk')
      : image.removeAlpha().toColourspace('srgb');
    const { data, info } = await converted.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (!isCmyk && info.channels !== 3) throw new Error(`it has ${info.channels} channels after conversion to RGB`);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return { width: info.width, height: info.height, data: isCmyk ? cmykToRgb(bytes, info.channels) : bytes };
  });
}

/**
 * Reads what a file's first bytes and its header state about the image, without decoding it.
 *
 * @param source - path or bytes
 * @throws ImageError if the file cannot be read, is not an image, or has too many pixels
 */
export function readImageHeader(source: string | Uint8Array, options: DecodeOptions = {}): Promise<ImageHeader> {
  return withSource('readImageHeader', source, () => readHeader(source, options));
}

/**
 * Reads the format that a file's content shows.
 *
 * @param source - path or bytes
 * @throws ImageError if the file cannot be read or is not an image
 */
export function readImageFormat(source: string | Uint8Array): Promise<ImageFormat> {
  return withSource('readImageFormat', source, () => readFormat(source));
}

async function readHeader(
  source: string | Uint8Array,
  { maxPixels = defaultMaxPixels }: DecodeOptions,
): Promise<ImageHeader> {
  const format = await readFormat(source);
  const { autoOrient, space } = await sharp(source, { failOn: 'error', limitInputPixels: false }).metadata();
  const { width, height } = autoOrient;
  if (width * height > maxPixels) {
    const limit = maxPixels >= 1e6 ? `${Math.floor(maxPixels / 1e6)} million` : maxPixels;
    throw new Error(`it has ${width} × ${height} pixels, more than the limit of ${limit}`);
  }
  if (Math.max(width, height) > longestSide)
    throw new Error(`it has ${width} × ${height} pixels, and a side may have at most ${longestSide}`);
  return { format, width, height, isCmyk: space === 'cmyk' };
}

async function readFormat(source: string | Uint8Array): Promise<ImageFormat> {
  const format = formatOfContent(typeof source === 'string' ? await readStart(source) : source);
  if (!format) throw new Error(`its content is not that of a ${formatNames} file`);
  return format;
}

/** Opens without waiting: reading from a pipe, which may never have a writer, then gives no bytes. */
const openFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

async function readStart(path: string): Promise<Uint8Array> {
  const file = await open(path, openFlags);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(signatureLength), 0, signatureLength, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Turns whatever fails into an `ImageError`. Of the decoder's messages the first line counts: its warnings follow. */
async function withSource<T>(where: string, source: string | Uint8Array, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const [reason] = fileSystemReason(error).split('\n');
    throw new ImageError(where, source, reason.replace(/:\s*$/, ''));
  }
}

/** Pillow's conversion: each of red, green and blue is (255 − ink) · (255 − black) / 255, rounded. */
function cmykToRgb(cmyk: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / channels) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += channels, to += 3) {
    const light = 255 - cmyk[from + 3];
    for (let ink = 0; ink < 3; ink++) {
      const product = cmyk[from + ink] * light + 128;
      rgb[to + ink] = light - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}
