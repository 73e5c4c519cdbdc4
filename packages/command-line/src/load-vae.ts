import { readWeightsInfo } from '@tb/trainer';
import { loadVae, readVaeConfig, type Vae, type VaeConfig } from '@tb/vae';
import { findWeights } from './input.js';
import { UsageError } from './options.js';

export type LoadedVae = {
  params: Vae;
  config: VaeConfig;
  /** The file that was read. */
  path: string;
  sha256: string;
  /** Side in pixels of the pictures it was trained on, where the file tells. */
  imageSize?: number;
};

/**
 * Loads the autoencoder that --vae names: a run of tb-train, or a file. Files of tb-train bring their configuration; that of
 * others is told by the shapes of their weights.
 *
 * @throws UsageError when nothing is named, it is missing, or it holds something else; the loader's own error when weights do
 *   not fit
 */
export async function loadVaeFile(named: string | undefined): Promise<LoadedVae> {
  if (named === undefined)
    throw new UsageError('--vae must name the weights of an autoencoder; tb-train vae makes them');
  const path = findWeights('--vae', named, 'vae');
  const { vaeConfig, modelConfig, imageSize, sha256 } = await readWeightsInfo(path);
  if (modelConfig) throw new UsageError(`--vae ${path} holds a TokenBridge model, not an autoencoder`);
  const config = vaeConfig ?? (await readVaeConfig(path));
  return { params: await loadVae(path, config), config, path, sha256, imageSize };
}
