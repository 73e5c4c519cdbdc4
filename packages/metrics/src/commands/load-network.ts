import { startBackend } from '@tb/command-line/compute';
import { type FeatureExtractor, inceptionExtractor } from '../evaluation/feature-extractor.js';
import { findInceptionWeights, loadInceptionWeights } from '../inception/weights-file.js';
import type { StatisticsValues } from './statistics/options.js';

/** Loads Inception-v3. Missing weights are reported before a backend is loaded. */
export async function loadNetwork(values: StatisticsValues): Promise<FeatureExtractor> {
  const path = findInceptionWeights(values.weights);
  await startBackend(values);
  const { weights, hash } = await loadInceptionWeights({ path, allowOther: values.allowOtherWeights });
  console.error(`weights ${path}, SHA-256 ${hash}`);
  return inceptionExtractor(weights, hash, values.preprocessing);
}
