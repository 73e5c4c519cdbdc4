// Images that commands read and compare.
import { UsageError } from '@tb/command-line';
import { decodeImage, type Pixels } from '@tb/images';
import { psnr, ssim } from '@tb/metrics';

/** Reads an image. @throws UsageError that names the file and the reason */
export async function readImage(path: string): Promise<Pixels> {
  try {
    return await decodeImage(path);
  } catch (error) {
    throw new UsageError(`image ${path} cannot be read: ${(error as Error).message}`);
  }
}

const smallestForSsim = 11;

/** PSNR and SSIM of two images of one size. */
export function imageSimilarity(a: Pixels, b: Pixels): { psnr: number; ssim: number } {
  const isLarge = Math.min(a.width, a.height) >= smallestForSsim;
  return { psnr: psnr(a, b), ssim: isLarge ? ssim(a, b) : Number.NaN };
}
