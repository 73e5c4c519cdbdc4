import type { Pixels } from '@tb/images';
import { psnr, ssim } from '@tb/metrics';

const smallestForSsim = 11;

/** Computes PSNR and SSIM of two images of the same size. */
export function imageSimilarity(a: Pixels, b: Pixels): { psnr: number; ssim: number } {
  const isLarge = Math.min(a.width, a.height) >= smallestForSsim;
  return { psnr: psnr(a, b), ssim: isLarge ? ssim(a, b) : Number.NaN };
}

/** Which image a file holds, and what computed it. */
export type ImageFacts = { backend: string; class: string | null; label: number | null; index: number; seed: bigint };

/** Returns what the file of an image states: the program, the settings, and which image it is. */
export function statedFacts(
  version: string,
  settings: object,
  { seed, ...facts }: ImageFacts,
): Record<string, unknown> {
  return { program: `tb-sample ${version}`, ...settings, ...facts, pictureSeed: String(seed) };
}
