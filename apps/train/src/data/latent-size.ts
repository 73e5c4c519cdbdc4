import { UsageError } from '@tb/command-line';
import type { TokenBridgeConfig } from '@tb/tokenbridge';
import { downsamplingFactor, type VaeConfig } from '@tb/vae';

/**
 * The latents of square pictures.
 *
 * @param size - side of a picture in pixels
 * @throws UsageError when the autoencoder cannot shrink it without a remainder
 */
export function latentSize(size: number, config: VaeConfig): TokenBridgeConfig['latent'] {
  const factor = downsamplingFactor(config);
  if (size % factor !== 0)
    throw new UsageError(`--image-size must be a multiple of ${factor}, by which the autoencoder shrinks, got ${size}`);
  return { height: size / factor, width: size / factor, channels: config.latentChannels };
}
