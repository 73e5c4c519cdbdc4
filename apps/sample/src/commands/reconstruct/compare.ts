import { contentOf, type FittedImage, type Pixels } from '@tb/images';
import type { Autoencoder, Vae, VaeConfig } from '@tb/vae';
import { imageSimilarity } from '../../images.js';
import { quantizeLatents, shareOutside } from '../../page/latents.js';

/** One way from an image and back; without levels the latents stay as they are. */
export type Variant = { levels?: number; range?: number };

export type Comparison = Variant & {
  image: Pixels;
  /** In dB against the original, infinite when equal. */
  psnr: number;
  /** NaN for images below 11 × 11 pixels. */
  ssim: number;
  /** Share of the latents outside the range; NaN without one. */
  outOfRange: number;
};

/** The ways to compare: through the autoencoder alone, then every range with every number of levels. */
export function listVariants(ranges: readonly number[], levels: readonly number[]): Variant[] {
  return [{}, ...ranges.flatMap((range) => levels.map((count) => ({ range, levels: count })))];
}

/** Sends one image through the autoencoder in every way. */
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
    const outOfRange = variant.range === undefined ? Number.NaN : shareOutside(normalized, variant.range);
    const [image] = await autoencoder.decode(params, restored, [1, side, side, latentChannels]);
    comparisons.push({ ...variant, image, ...similarity(fitted, image), outOfRange });
  }
  return comparisons;
}

function quantized(normalized: Float32Array, { levels, range = 5 }: Variant): Float32Array {
  return levels === undefined ? normalized : quantizeLatents(normalized, { levels, range }).restored;
}

function similarity(fitted: FittedImage, restored: Pixels): { psnr: number; ssim: number } {
  return imageSimilarity(contentOf(fitted.image, fitted), contentOf(restored, fitted));
}
