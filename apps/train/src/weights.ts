// The weights that options name.
import { UsageError } from '@tb/command-line';
import type { TokenBridgeConfig } from '@tb/tokenbridge';
import { findWeights, readWeightsInfo } from '@tb/trainer';
import { downsamplingFactor, type VaeConfig } from '@tb/vae';

/**
 * The file that --initial names, or that the run of that folder ended with; undefined for a run that starts from random weights
 * or is resumed.
 *
 * @param kind - what is trained
 * @throws UsageError when it is missing or holds weights of the other kind
 */
export async function findInitialWeights(
  { initial, resume }: { initial?: string; resume: boolean },
  kind: 'vae' | 'model',
): Promise<string | undefined> {
  if (initial === undefined || resume) return undefined;
  const path = findWeights('--initial', initial, kind);
  const { vaeConfig, modelConfig } = await readWeightsInfo(path);
  if (kind === 'model' && vaeConfig)
    throw new UsageError(`--initial ${path} holds an autoencoder, not a TokenBridge model`);
  if (kind === 'vae' && modelConfig)
    throw new UsageError(`--initial ${path} holds a TokenBridge model, not an autoencoder`);
  return path;
}

/**
 * The latents of square images.
 *
 * @param size - side of an image in pixels
 * @throws UsageError when the autoencoder cannot shrink it without a remainder
 */
export function latentSize(size: number, config: VaeConfig): TokenBridgeConfig['latent'] {
  const factor = downsamplingFactor(config);
  if (size % factor !== 0)
    throw new UsageError(`--image-size must be a multiple of ${factor}, by which the autoencoder shrinks, got ${size}`);
  return { height: size / factor, width: size / factor, channels: config.latentChannels };
}
