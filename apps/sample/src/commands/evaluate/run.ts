import { prepareFile, withPasses } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { writeFileAtomic } from '@tb/io';
import {
  evaluatePaths,
  type FeatureExtractor,
  findInceptionWeights,
  inceptionExtractor,
  loadInceptionWeights,
  reportFileName,
  reportText,
} from '@tb/metrics';
import { hostRandom } from '@tb/runtime';
import type { EvaluateValues } from './options.js';
import { comparePairs, pairsText } from './pairs.js';

/** `tb-sample evaluate`. */
export async function evaluate(samples: string, reference: string, values: EvaluateValues): Promise<void> {
  const json = values.json ?? (values.pairs ? undefined : reportFileName(samples));
  if (json !== undefined) await prepareFile('--json', json);
  if (values.pairs) {
    const report = await comparePairs(samples, reference, { maxPixels: values.maxPixels, onFound: console.error });
    return finish(pairsText(report), report, json);
  }
  const { resamples, allowLossy, seed } = values;
  const report = await withPasses(values, (options) =>
    evaluatePaths(samples, reference, () => loadNetwork(values), {
      ...options,
      resamples,
      allowLossy,
      random: hostRandom(seed).uniform,
    }),
  );
  if (report !== undefined) await finish(reportText(report), report, json);
}

async function finish(text: string, report: object, json: string | undefined): Promise<void> {
  console.log(text);
  if (json === undefined) return;
  await writeFileAtomic(json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`report: ${json}`);
}

async function loadNetwork(values: EvaluateValues): Promise<FeatureExtractor> {
  const { weights: path, allowOtherWeights: allowOther, preprocessing } = values;
  findInceptionWeights(path); // refuses before a backend is loaded
  await startBackend(values);
  const { weights, hash } = await loadInceptionWeights({ path, allowOther });
  return inceptionExtractor(weights, hash, preprocessing);
}
