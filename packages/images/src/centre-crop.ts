import type { Pixels } from './pixels.js';
import { bicubic, box, type Filter, type Rectangle, resamplePart, sourceOf } from './resample.js';

/**
 * The centre crop that ADM, MAR and TokenBridge train with. It halves the image with a box filter while the shorter side
 * is at least twice the target, resizes it bicubically until the shorter side is the target, and cuts out the middle.
 * Only what the middle depends on is computed.
 *
 * @param size - side of the square, in pixels
 */
export function centreCrop(image: Pixels, size: number): Pixels {
  const stages = stagesOf(image, size);
  const last = stages[stages.length - 1];
  let part: Rectangle = {
    left: Math.floor((last.width - size) / 2),
    top: Math.floor((last.height - size) / 2),
    width: size,
    height: size,
  };
  const parts = [part];
  for (let i = stages.length - 1; i > 0; i--) {
    part = sourceOf(part, stages[i - 1], stages[i], stages[i].filter);
    parts.unshift(part);
  }
  let current = { pixels: image, left: 0, top: 0, width: image.width, height: image.height };
  for (const [i, stage] of stages.entries()) current = resamplePart(current, stage, stage.filter, parts[i]);
  return current.pixels;
}

type Stage = { width: number; height: number; filter: Filter };

/** The sizes that the image takes one after the other, and the filters that lead to them. */
function stagesOf({ width, height }: Pixels, size: number): Stage[] {
  const stages: Stage[] = [];
  while (Math.min(width, height) >= 2 * size) {
    width = Math.floor(width / 2);
    height = Math.floor(height / 2);
    stages.push({ width, height, filter: box });
  }
  const scale = size / Math.min(width, height);
  stages.push({ width: roundHalfToEven(width * scale), height: roundHalfToEven(height * scale), filter: bicubic });
  return stages;
}

/** Python's rounding, which decides the reference's image sizes. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
