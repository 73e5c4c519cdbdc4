import type { Pixels } from '@tb/images';
import { psnr, ssim } from '@tb/metrics';

const smallestForSsim = 11;

/** Computes PSNR and SSIM of two images of the same size. */
export function imageSimilarity(a: Pixels, b: Pixels): { psnr: number; ssim: number } {
  const isLarge = Math.min(a.width, a.height) >= smallestForSsim;
  return { psnr: psnr(a, b), ssim: isLarge ? ssim(a, b) : Number.NaN };
}
