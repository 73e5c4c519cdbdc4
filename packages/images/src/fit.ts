import sharp from 'sharp';
import { centreCrop } from './centre-crop.js';
import { cropPixels, type Pixels } from './pixels.js';

/** A square image, and the rectangle of it that the original fills. */
export type FittedImage = { image: Pixels; left: number; top: number; width: number; height: number };

/**
 * Makes an image square. `crop` keeps its middle, as training does; `pad` keeps all of it and fills the rest with white.
 *
 * @param size - side in pixels
 */
export async function fitToSquare(image: Pixels, size: number, fit: 'crop' | 'pad'): Promise<FittedImage> {
  if (fit === 'crop') return { image: centreCrop(image, size), left: 0, top: 0, width: size, height: size };
  const scale = size / Math.max(image.width, image.height);
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  const [width, height] = [side(image.width), side(image.height)];
  const [left, top] = [Math.floor((size - width) / 2), Math.floor((size - height) / 2)];
  const data = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize(width, height, { fit: 'fill' })
    .extend({ left, top, right: size - width - left, bottom: size - height - top, background: '#ffffff' })
    .raw()
    .toBuffer();
  return { image: { width: size, height: size, data: new Uint8Array(data) }, left, top, width, height };
}

/** Cuts the original's part out of a square image that was fitted in the same way. */
export const contentOf = (square: Pixels, { left, top, width, height }: FittedImage): Pixels =>
  cropPixels(square, left, top, width, height);
