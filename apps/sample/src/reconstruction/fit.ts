import { centreCrop, type Pixels } from '@tb/trainer';
import sharp from 'sharp';

/** A square picture, and the part of it that the user's picture fills. */
export type Fitted = { picture: Pixels; left: number; top: number; width: number; height: number };

/**
 * Makes a picture square: `crop` takes the middle as in training, `pad` keeps all of it and fills up with white.
 *
 * @param size - side in pixels
 */
export async function fitPicture(picture: Pixels, size: number, fit: 'crop' | 'pad'): Promise<Fitted> {
  if (fit === 'crop') return { picture: centreCrop(picture, size), left: 0, top: 0, width: size, height: size };
  const scale = size / Math.max(picture.width, picture.height);
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  const [width, height] = [side(picture.width), side(picture.height)];
  const [left, top] = [Math.floor((size - width) / 2), Math.floor((size - height) / 2)];
  const data = await sharp(picture.data, { raw: { width: picture.width, height: picture.height, channels: 3 } })
    .resize(width, height, { fit: 'fill' })
    .extend({ left, top, right: size - width - left, bottom: size - height - top, background: '#ffffff' })
    .raw()
    .toBuffer();
  return { picture: { width: size, height: size, data: new Uint8Array(data) }, left, top, width, height };
}

/** The user's part of a square picture. */
export function contentOf({ width: stride, data }: Pixels, { left, top, width, height }: Fitted): Pixels {
  const cut = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * stride + left) * 3;
    cut.set(data.subarray(start, start + width * 3), y * width * 3);
  }
  return { width, height, data: cut };
}
