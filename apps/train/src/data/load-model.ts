import { assertExists, UsageError } from '@tb/command-line';
import { loadTokenBridge, type TokenBridge, type TokenBridgeConfig } from '@tb/tokenbridge';
import { readWeightsInfo } from '@tb/trainer';

export type LoadedModel = {
  params: TokenBridge;
  config: TokenBridgeConfig;
  classNames: string[];
  imageSize?: number;
  vaeSha256?: string;
  sha256: string;
};

/**
 * Loads a TokenBridge model, with the names of its classes where the file has them.
 *
 * @throws UsageError when the file is missing or holds an autoencoder; the loader's own error when weights do not fit
 */
export async function loadModelFile(path: string | undefined, flag = '--model'): Promise<LoadedModel> {
  if (path === undefined) throw new UsageError(`${flag} must name the weights of a model; tb-train model makes them`);
  assertExists(flag, path);
  const { vaeConfig, classNames, imageSize, vaeSha256, sha256 } = await readWeightsInfo(path);
  if (vaeConfig) throw new UsageError(`${flag} ${path} holds an autoencoder, not a TokenBridge model`);
  const { params, config } = await loadTokenBridge(path);
  const numbers = Array.from({ length: config.classes }, (_, label) => String(label));
  return { params, config, classNames: classNames ?? numbers, imageSize, vaeSha256, sha256 };
}
