import { bicubic, centreCrop, cropPixels, decodeImage, mirrorPixels, type Pixels, resample } from '@tb/images';
import type { SampleRequest } from './image-source.js';

/** A square of a picture, in its pixels. */
export type Rectangle = { left: number; top: number; side: number };

/** Decoded photographs that many crops are cut from. */
const photographs = new Map<string, Promise<Pixels>>();
const mostPhotographs = 64;

/**
 * Makes one training picture.
 *
 * @returns RGB bytes [size, size, 3]
 * @throws when the file cannot be read
 */
export async function readSample({ path, size, crop, mirror }: SampleRequest): Promise<Uint8Array> {
  let picture: Pixels;
  if (crop === 'centre') {
    picture = centreCrop(await decodeImage(path), size);
  } else {
    const square = cropPixels(await photograph(path), crop.left, crop.top, crop.side, crop.side);
    picture = resample(square, size, size, bicubic);
  }
  return (mirror ? mirrorPixels(picture) : picture).data;
}

function photograph(path: string): Promise<Pixels> {
  const known = photographs.get(path);
  if (known) return known;
  if (photographs.size >= mostPhotographs) photographs.delete(photographs.keys().next().value!);
  const decoded = decodeImage(path);
  photographs.set(path, decoded);
  return decoded;
}
