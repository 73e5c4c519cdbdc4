import { InputError, printable } from '@tb/io';
import { latentSpread } from '@tb/quantizer';
import { createAutoencoder } from '@tb/vae';
import type { LoadedVae } from '../run-folder/load-weights.js';

/** What `--latent-scale` asks for: a factor of the latents, or that it is measured. */
export type LatentScale = number | 'auto';

/** Options of `withLatentScale`. */
export type LatentScaleOptions = {
  /** What is asked for; by default the autoencoder's own scale, or that of kl16 where its file does not state one. */
  scale?: LatentScale;
  /** Side of the images in pixels. */
  size: number;
  /** Some images of the data: RGB bytes [size, size, 3] each. They are read only if latents must be measured. */
  images: () => Promise<readonly Uint8Array[]>;
};

/** How many latents are enough to measure the scale. */
const enoughLatents = 2 ** 15;

/** A standard deviation of the scaled latents between the inverse of this and this is as good as 1. */
const tolerance = 1.5;

/** A share of latents outside the quantizer's interval that is worth a line. */
const highShare = 0.01;

/** The interval to which released models quantize. */
const [min, max] = [-5, 5];

/**
 * Gives an autoencoder the scale of its latents that is asked for. Where the scale is measured, or is a guess, the latents of
 * some images are compared with it.
 *
 * @returns the autoencoder with that scale, and a line for the user where it was measured, or does not fit the latents
 * @throws InputError when the latents are not finite, or do not vary
 */
export async function withLatentScale(
  vae: LoadedVae,
  { scale, size, images }: LatentScaleOptions,
): Promise<{ vae: LoadedVae; line?: string }> {
  if (scale === undefined && vae.statesScale) return { vae };
  const latents = await encodeSome(vae, size, await images());
  const used = scale === 'auto' ? measure(vae, latents).scale : (scale ?? vae.config.latentScale);
  const spread = measure(vae, latents, used);
  const scaled = { ...vae, config: { ...vae.config, latentScale: used } };
  const outside = `${(100 * spread.outOfRange).toFixed(2)}% of the latents are outside [${min}, ${max}]`;
  const name = `autoencoder ${printable(vae.path)}`;
  if (scale === 'auto') return { vae: scaled, line: `${name}: latent scale ${short(used)}, measured; ${outside}` };
  const deviation = spread.deviation * used;
  const isMany = spread.outOfRange >= highShare;
  if (!isMany && deviation < tolerance && deviation > 1 / tolerance) return { vae: scaled };
  const effect = isMany ? `${outside}, where they are cut off` : 'they need few of the quantization levels';
  return {
    vae: scaled,
    line:
      `${name}: the latents times the latent scale ${short(used)} have a standard deviation of ${short(deviation)}, not ` +
      `about 1, and ${effect}. --latent-scale auto measures the scale (${short(spread.scale)} here)`,
  };
}

const short = (value: number) => String(Number(value.toPrecision(4)));

/** One image after another: some backends have memory for no more. */
async function encodeSome(vae: LoadedVae, size: number, images: readonly Uint8Array[]): Promise<Float32Array> {
  const autoencoder = createAutoencoder(vae.config, size);
  const parts: Float32Array[] = [];
  let count = 0;
  for (const image of images) {
    parts.push(await autoencoder.encode(vae.params, image));
    count += parts.at(-1)!.length;
    if (count >= enoughLatents) break;
  }
  const latents = new Float32Array(count);
  let done = 0;
  for (const part of parts) {
    latents.set(part, done);
    done += part.length;
  }
  return latents;
}

function measure({ path }: LoadedVae, latents: Float32Array, factor = 1) {
  try {
    return latentSpread(latents, { factor, min, max });
  } catch (error) {
    const what = `the latents of the autoencoder ${path} cannot be measured`;
    throw new InputError('withLatentScale', `${what}: ${(error as Error).message.replace(/^latentSpread: /, '')}`);
  }
}
