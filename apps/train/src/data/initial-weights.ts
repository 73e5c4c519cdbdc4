import { UsageError } from '@tb/command-line';
import { findWeights, readWeightsInfo } from '@tb/trainer';

/**
 * The file that --initial names, a run's or its own.
 *
 * @param kind - what is trained
 * @throws UsageError when it is missing or holds weights of the other kind
 */
export async function findInitialWeights(
  named: string | undefined,
  kind: 'vae' | 'model',
): Promise<string | undefined> {
  if (named === undefined) return undefined;
  const path = findWeights('--initial', named, kind);
  const { vaeConfig, modelConfig } = await readWeightsInfo(path);
  if (kind === 'model' && vaeConfig)
    throw new UsageError(`--initial ${path} holds an autoencoder, not a TokenBridge model`);
  if (kind === 'vae' && modelConfig)
    throw new UsageError(`--initial ${path} holds a TokenBridge model, not an autoencoder`);
  return path;
}
