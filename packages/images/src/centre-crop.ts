import { cropPixels, type Pixels } from './pixels.js';
import { bicubic, box, resample } from './resample.js';

/**
 * The centre crop that ADM, MAR and TokenBridge train with. It halves the image with a box filter while the shorter side
 * is at least twice the target, resizes it bicubically until the shorter side is the target, and cuts out the middle.
 *
 * @param size - side of the square, in pixels
 */
export function centreCrop(image: Pixels, size: number): Pixels {
  let small = image;
  while (Math.min(small.width, small.height) >= 2 * size) {
    small = resample(small, Math.floor(small.width / 2), Math.floor(small.height / 2), box);
  }
  const scale = size / Math.min(small.width, small.height);
  small = resample(small, roundHalfToEven(small.width * scale), roundHalfToEven(small.height * scale), bicubic);
  return cropPixels(small, Math.floor((small.width - size) / 2), Math.floor((small.height - size) / 2), size, size);
}

/** Python's rounding, which decides the reference's image sizes. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
