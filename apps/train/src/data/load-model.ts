import { findWeights, UsageError } from '@tb/command-line';
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
export async function loadModelFile(named: string | undefined): Promise<LoadedModel> {
  if (named === undefined) throw new UsageError('--model must name the weights of a model; tb-train model makes them');
  const file = findWeights('--model', named, 'model');
  const { vaeConfig, classNames, imageSize, vaeSha256, sha256 } = await readWeightsInfo(file);
  if (vaeConfig) throw new UsageError(`--model ${file} holds an autoencoder, not a TokenBridge model`);
  const { params, config } = await loadTokenBridge(file);
  const numbers = Array.from({ length: config.classes }, (_, label) => String(label));
  return { params, config, classNames: classNames ?? numbers, imageSize, vaeSha256, sha256 };
}
