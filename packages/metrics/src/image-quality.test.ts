import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ComparableImage, psnr, ssim } from './image-quality.js';

const image = (data: ArrayLike<number>, side: number): ComparableImage => ({ data, height: side, width: side });
const side = 12;
const images = fc
  .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: side * side, maxLength: side * side })
  .map((pixels) => image(pixels, side));

describe('psnr and ssim', () => {
  it('lie in their ranges, whichever image comes first', () => {
    fc.assert(
      fc.property(images, images, (a, b) => {
        expect(psnr(a, b, 1)).toBeGreaterThanOrEqual(0);
        expect(psnr(a, b, 1)).toBe(psnr(b, a, 1));
        expect(Math.abs(ssim(a, b, 1))).toBeLessThanOrEqual(1 + 1e-12);
        expect(ssim(a, b, 1)).toBeCloseTo(ssim(b, a, 1), 12);
      }),
      { numRuns: 30 },
    );
  });

  it('are 0 dB for images that differ by the whole range, and NaN where a pixel is', () => {
    const [black, white] = [0, 255].map((value) => image(new Float64Array(side * side).fill(value), side));
    expect(psnr(black, white)).toBe(0);
    const broken = image(new Float64Array(side * side).fill(Number.NaN), side);
    expect([psnr(broken, black), ssim(broken, black)]).toEqual([Number.NaN, Number.NaN]);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuse a range of %s, and no pixels', (range) => {
    const a = image(new Float64Array(side * side), side);
    expect(() => psnr(a, a, range)).toThrow(`psnr: range must be positive and finite, got ${range}`);
    expect(() => ssim(a, a, range)).toThrow(`ssim: range must be positive and finite, got ${range}`);
    expect(() => psnr(image([], 0), image([], 0))).toThrow('psnr: images must hold pixels, got none');
  });

  it('refuse images of different sizes, and data that does not fill its size', () => {
    const [small, large] = [11, 12].map((length) => image(new Uint8Array(length * length), length));
    expect(() => psnr(small, large)).toThrow('psnr: both images must have the same size, got 11×11×1 and 12×12×1');
    const short = image(new Uint8Array(143), 12);
    expect(() => ssim(short, large)).toThrow('an image of 12×12 must have as many values for each channel, got 143');
  });
});
