import { createProgressLine, listenForStop, prepareFile, prepareFolder } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { writeFileAtomic } from '@tb/io';
import {
  type EvaluationReport,
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
  if (values.resume !== undefined) await prepareFolder('--resume', values.resume);
  const report = await evaluateSets(samples, reference, values);
  if (report !== undefined) await finish(reportText(report), report, json);
}

async function finish(text: string, report: object, json: string | undefined): Promise<void> {
  console.log(text);
  if (json === undefined) return;
  await writeFileAtomic(json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`report: ${json}`);
}

/** @returns undefined when a signal ended it, with its exit code set and all that was gathered saved */
async function evaluateSets(
  samples: string,
  reference: string,
  values: EvaluateValues,
): Promise<EvaluationReport | undefined> {
  const { batch, keep, maxPixels, resamples, allowLossy, resume, seed } = values;
  const line = createProgressLine();
  const stop =
    resume === undefined ? undefined : listenForStop(`saving in ${resume}: run the same command again to resume`);
  try {
    return await evaluatePaths(samples, reference, () => loadNetwork(values), {
      batchSize: batch,
      keep,
      maxPixels,
      resamples,
      allowLossy,
      workFolder: resume,
      random: hostRandom(seed).uniform,
      signal: stop?.signal,
      onFound: console.error,
      onProgress: (what, done, total) => line.show(done, total, what),
      onStage: (what) => {
        stop?.close(); // nothing more is to be saved, and a signal may end it
        line.stage(what);
      },
    });
  } catch (error) {
    if (!stop?.signal.aborted) throw error;
    process.exitCode = stop.exitCode();
    return undefined;
  } finally {
    line.end();
    stop?.close();
  }
}

async function loadNetwork(values: EvaluateValues): Promise<FeatureExtractor> {
  const { weights: path, allowOtherWeights: allowOther, preprocessing } = values;
  findInceptionWeights(path); // refuses before a backend is loaded
  await startBackend(values);
  const { weights, hash } = await loadInceptionWeights({ path, allowOther });
  return inceptionExtractor(weights, hash, preprocessing);
}
