import { presets, type TokenBridgeConfig } from '@tb/tokenbridge';

export type SamplingDefaults = { cfg: number; temperature: number; numIter: number };

/**
 * Guidance and temperature of Tab. 4 for L and H, with 256 steps: at most one position of the 16 × 16 per step. `base` has no
 * published values and takes L's. `tiny`, and every size of one's own, gets a guidance of 3 and a quarter of the steps
 * that its grid has positions.
 */
export function samplingDefaults({ latent, backbone, head }: TokenBridgeConfig): SamplingDefaults {
  const isSize = (name: 'base' | 'large' | 'huge') =>
    presets[name].backbone.encoder.width === backbone.encoder.width &&
    presets[name].backbone.encoder.depth === backbone.encoder.depth &&
    presets[name].head.width === head.width;
  if (isSize('large') || isSize('base')) return { cfg: 3.1, temperature: 0.97, numIter: 256 };
  if (isSize('huge')) return { cfg: 3.45, temperature: 0.91, numIter: 256 };
  return { cfg: 3, temperature: 1, numIter: Math.max(1, Math.ceil((latent.height * latent.width) / 4)) };
}
