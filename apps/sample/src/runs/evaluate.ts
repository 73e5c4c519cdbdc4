import { listenForStop, prepareFile, prepareFolder } from '@tb/command-line';
import { startEngine } from '@tb/command-line/compute';
import { writeFileAtomic } from '@tb/io';
import {
  createProgressLine,
  evaluatePaths,
  type FeatureExtractor,
  inceptionExtractor,
  loadInceptionWeights,
  reportFileName,
  reportText,
} from '@tb/metrics';
import { hostRandom } from '@tb/runtime';
import type { EvaluateValues } from '../commands/evaluate.js';
import { comparePairs, pairsText } from '../reconstruction/pairs.js';

/** `tb-sample evaluate`, with every option filled in that has a default. */
export async function evaluate(samples: string, reference: string, values: EvaluateValues): Promise<void> {
  const json = values.json ?? (values.pairs ? undefined : reportFileName(samples));
  if (json !== undefined) await prepareFile('--json', json);
  if (values.resume !== undefined) await prepareFolder('--resume', values.resume);
  const result = values.pairs
    ? await evaluatePairs(samples, reference)
    : await evaluateSets(samples, reference, values);
  if (result === undefined) return; // stopped
  console.log(result.text);
  if (json === undefined) return;
  await writeFileAtomic(json, `${JSON.stringify(result.report, null, 2)}\n`);
  console.log(`report: ${json}`);
}

async function evaluatePairs(samples: string, reference: string) {
  const report = await comparePairs(samples, reference, console.error);
  return { text: pairsText(report), report };
}

/** @returns nothing when a signal ended it, with its exit code set and all that was gathered saved */
async function evaluateSets(samples: string, reference: string, values: EvaluateValues) {
  const line = createProgressLine(process.stderr);
  const stop =
    values.resume === undefined
      ? undefined
      : listenForStop(`saving in ${values.resume}: the same command goes on from there`);
  try {
    const report = await evaluatePaths(samples, reference, () => loadNetwork(values), {
      batchSize: values.batch,
      keep: values.keep,
      resamples: values.resamples,
      allowLossy: values.allowLossy,
      workFolder: values.resume,
      random: hostRandom(values.seed!).uniform,
      signal: stop?.signal,
      onFound: console.error,
      onProgress: line.show,
      onStage: (what) => {
        stop?.close(); // nothing more is to be saved, and a signal may end it
        line.stage(what);
      },
    });
    return { text: reportText(report), report };
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
  await startEngine(values);
  const { weights, hash } = await loadInceptionWeights({ path, allowOther });
  return inceptionExtractor(weights, hash, preprocessing);
}
