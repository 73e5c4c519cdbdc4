import { readWeightsInfo } from '@tb/trainer';
import { loadVae, type Vae, type VaeConfig, vaePresets } from '@tb/vae';
import { assertExists } from './input.js';
import { UsageError } from './resolve.js';

export type LoadedVae = { params: Vae; config: VaeConfig; sha256: string };

/**
 * Loads the autoencoder that --vae names. Files of tb-train bring their configuration; for others it is the preset.
 *
 * @throws UsageError when no file is named or it is missing; the loader's own error when weights do not fit
 */
export async function loadVaeFile(
  path: string | undefined,
  preset: keyof typeof vaePresets = 'kl16',
): Promise<LoadedVae> {
  if (path === undefined)
    throw new UsageError('--vae must name the weights of an autoencoder; tb-train vae makes them');
  assertExists('--vae', path);
  const { vaeConfig: config = vaePresets[preset], modelConfig, sha256 } = await readWeightsInfo(path);
  if (modelConfig) throw new UsageError(`--vae ${path} holds a TokenBridge model, not an autoencoder`);
  return { params: await loadVae(path, config), config, sha256 };
}
