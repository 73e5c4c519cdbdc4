import { contentOf, type FittedImage, type Pixels } from '@tb/images';
import { psnr, ssim } from '@tb/metrics';
import { createQuantizer } from '@tb/quantizer';
import type { Autoencoder, Vae, VaeConfig } from '@tb/vae';

// h, w, C = height, width and channels of a latent

/** One way from a picture and back; without levels the latents stay as they are. */
export type Variant = { levels?: number; range?: number };

export type Comparison = Variant & {
  picture: Pixels;
  /** In dB against the original, infinite when equal. */
  psnr: number;
  /** NaN for pictures below 11 × 11 pixels. */
  ssim: number;
  /** Share of the latents outside the range; NaN without one. */
  outOfRange: number;
};

/** The ways to compare: through the autoencoder alone, then every range with every number of levels. */
export function listVariants(ranges: readonly number[], levels: readonly number[]): Variant[] {
  return [{}, ...ranges.flatMap((range) => levels.map((count) => ({ range, levels: count })))];
}

/** Sends one picture through the autoencoder in every way. */
export async function compareVariants(
  fitted: FittedImage,
  variants: readonly Variant[],
  autoencoder: Autoencoder,
  params: Vae,
  { latentChannels, latentScale }: VaeConfig,
): Promise<Comparison[]> {
  const latents = await autoencoder.encode(params, fitted.image.data);
  const normalized = latents.map((value) => value * latentScale);
  const side = Math.sqrt(latents.length / latentChannels);
  const comparisons: Comparison[] = [];
  for (const variant of variants) {
    const restored = quantized(normalized, variant).map((value) => value / latentScale);
    const [picture] = await autoencoder.decode(params, restored, [1, side, side, latentChannels]);
    comparisons.push({ ...variant, picture, ...similarity(fitted, picture), outOfRange: outside(normalized, variant) });
  }
  return comparisons;
}

function quantized(normalized: Float32Array, { levels, range = 5 }: Variant): Float32Array {
  if (levels === undefined) return normalized;
  const quantizer = createQuantizer({ levels, min: -range, max: range });
  return quantizer.dequantize(quantizer.quantize(normalized));
}

function outside(normalized: Float32Array, { range }: Variant): number {
  if (range === undefined) return Number.NaN;
  return normalized.reduce((count, value) => count + (Math.abs(value) > range ? 1 : 0), 0) / normalized.length;
}

function similarity(fitted: FittedImage, restored: Pixels): { psnr: number; ssim: number } {
  return pictureSimilarity(contentOf(fitted.image, fitted), contentOf(restored, fitted));
}

const smallestForSsim = 11;

/** PSNR and SSIM of two pictures of one size. */
export function pictureSimilarity(a: Pixels, b: Pixels): { psnr: number; ssim: number } {
  const isLarge = Math.min(a.width, a.height) >= smallestForSsim;
  return { psnr: psnr(a, b), ssim: isLarge ? ssim(a, b) : Number.NaN };
}
