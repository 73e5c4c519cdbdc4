import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { centreCrop } from './centre-crop.js';
import { cropPixels, mirrorPixels, type Pixels } from './pixels.js';
import { bicubic, box, resample } from './resample.js';

/** Noise of a size. */
function noise(width: number, height: number): Pixels {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 2654435761) >>> 24);
  return { width, height, data };
}

/** The crop as the reference makes it: every step on the complete image. */
function cropStepByStep(image: Pixels, size: number): Pixels {
  let small = image;
  while (Math.min(small.width, small.height) >= 2 * size) {
    small = resample(small, Math.floor(small.width / 2), Math.floor(small.height / 2), box);
  }
  const scale = size / Math.min(small.width, small.height);
  const round = (value: number) => (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));
  small = resample(small, round(small.width * scale), round(small.height * scale), bicubic);
  return cropPixels(small, Math.floor((small.width - size) / 2), Math.floor((small.height - size) / 2), size, size);
}

describe('centreCrop', () => {
  it('has the bytes of a crop whose steps were made on the complete image', () => {
    const side = fc.integer({ min: 1, max: 90 });
    fc.assert(
      fc.property(side, side, fc.integer({ min: 1, max: 24 }), (width, height, size) => {
        const image = noise(width, height);
        expect(centreCrop(image, size)).toEqual(cropStepByStep(image, size));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    [200_000, 20],
    [20, 200_000],
    [60_000, 1024],
    [1, 100_000],
  ])('of %i × %i pixels costs no more than it shows', (width, height) => {
    const image = { width, height, data: new Uint8Array(width * height * 3) };
    const start = performance.now();
    expect(centreCrop(image, 256).data).toHaveLength(256 * 256 * 3);
    expect(performance.now() - start).toBeLessThan(1000); // about 10 ms; minutes and gigabytes for the complete image
  });
});

describe('mirrorPixels', () => {
  it('undoes itself', () => {
    const image = noise(5, 3);
    expect(mirrorPixels(mirrorPixels(image))).toEqual(image);
    expect(mirrorPixels(image).data.slice(0, 3)).toEqual(image.data.slice(12, 15));
  });
});
