import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readWeightsInfo } from '@tb/trainer';
import { loadVae, readVaeConfig, type Vae, type VaeConfig } from '@tb/vae';
import { assertExists } from './input.js';
import { UsageError } from './resolve.js';

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
  assertExists('--vae', named);
  const path = statSync(named).isDirectory() ? weightsOfRun(named) : named;
  const { vaeConfig, modelConfig, imageSize, sha256 } = await readWeightsInfo(path);
  if (modelConfig) throw new UsageError(`--vae ${path} holds a TokenBridge model, not an autoencoder`);
  const config = vaeConfig ?? (await readVaeConfig(path));
  return { params: await loadVae(path, config), config, path, sha256, imageSize };
}

function weightsOfRun(folder: string): string {
  const path = join(folder, 'vae.safetensors');
  if (existsSync(path)) return path;
  throw new UsageError(`--vae ${folder} holds no vae.safetensors; tb-train vae writes it when it is finished`);
}
